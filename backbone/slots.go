package backbone

import (
	"errors"
	"fmt"
	"slices"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// ErrFull is returned where a context has no room for the appended positions.
var ErrFull = errors.New("the context is full")

// chunkSizes are the numbers of positions that one run takes, smallest first. A prompt is read in large chunks, so that
// the weights are read and packed once for many positions. A generated patch is one position. With a hidden size of
// 1024, a chunk of 256 takes 15 % less time than four of 64, and 25 % less if the weights are bfloat16.
var chunkSizes = []int{1, 4, 16, 64, 256}

// stepSizes are the numbers of slots that one run of Step takes, smallest first.
var stepSizes = []int{1, 2, 4, 8, MaxStep}

// MaxStep is how many slots Step takes at most.
const MaxStep = 16

// firstRoom is the number of positions that a slot has memory for at first. Each time it is full, it doubles.
const firstRoom = 64

// Embed adds the input of a backbone to a graph: ids [B, T, width] int32 give x [B, T, D].
type Embed func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor

// Slots holds contexts of different lengths, with their keys and values, in the slots of one slab of memory. A context is a
// sequence of positions, a position is width tokens. What a slot holds is bit for bit what it would be if there were no
// others. The slab grows with the slots in use and with the longest context, and does not shrink. A slot that does not
// exist panics. A Slots is not safe for concurrent use: one program of an engine runs at a time.
type Slots struct {
	model  *Model
	engine *cpu.Engine
	embed  Embed
	width  int

	capacity int // max positions of a context
	used     int // slots that have memory
	room     int // positions of each that have memory, at most capacity

	lengths  []int       // positions of each slot
	keys     [][]float32 // by layer: [used, room, key-value heads * head size]
	values   [][]float32
	hidden   []float32                // [slots, D]
	programs map[[2]int]*slotsProgram // by rows and positions of each, compiled for used and room
}

// slotsProgram appends a fixed number of positions to a fixed number of slots.
type slotsProgram struct {
	program                  *cpu.Program
	ids, slot, start, hidden *nn.Tensor
}

// NewSlots makes that many empty slots, with contexts of at most capacity positions.
func (m *Model) NewSlots(e *cpu.Engine, embed Embed, slots, width, capacity int) *Slots {
	if slots < 1 || width < 1 || capacity < 0 {
		panic(fmt.Sprintf("backbone: %d slots of %d positions of %d tokens", slots, capacity, width))
	}
	s := &Slots{model: m, engine: e, embed: embed, width: width, capacity: capacity, lengths: make([]int, slots),
		keys: make([][]float32, len(m.blocks)), values: make([][]float32, len(m.blocks)),
		hidden: make([]float32, slots*m.Config.HiddenSize), programs: map[[2]int]*slotsProgram{}}
	s.reserve(1, firstRoom)
	return s
}

// Capacity returns the number of positions that a context may have.
func (s *Slots) Capacity() int { return s.capacity }

// Len returns the number of positions in a slot.
func (s *Slots) Len(slot int) int { return s.lengths[slot] }

// Hidden returns the hidden state [D] of the position of a slot that was appended last. It is valid until the slot is
// appended to, truncated or restored.
func (s *Slots) Hidden(slot int) []float32 {
	d := s.model.Config.HiddenSize
	return s.hidden[slot*d : (slot+1)*d : (slot+1)*d]
}

// Truncate cuts a slot to its first n positions. Hidden is not valid until the slot is appended to.
func (s *Slots) Truncate(slot, n int) {
	if n < 0 || n > s.lengths[slot] {
		panic(fmt.Sprintf("backbone: truncate a context of %d positions to %d", s.lengths[slot], n))
	}
	s.lengths[slot] = n
}

// Chunk returns how many of n positions, at least 1, Append takes in its first run: 1, 4, 16, 64 or 256. A context that is
// appended piece by piece, each as long as Chunk says of what is left, is bit for bit what it is if it is appended at once. So it
// is with pieces of 64 positions instead of 256.
func (s *Slots) Chunk(n int) int {
	i, found := slices.BinarySearch(chunkSizes, n)
	if !found {
		i--
	}
	return chunkSizes[i]
}

// Append adds positions to a slot: ids [n, width], n at least 1. After an error (ErrFull, or an id outside the vocabulary)
// nothing has changed.
func (s *Slots) Append(slot int, ids []int32) error {
	n, length := len(ids)/s.width, s.lengths[slot]
	if n == 0 || n*s.width != len(ids) {
		return fmt.Errorf("append %d ids to a context of %d tokens a position: want a multiple of %d", len(ids), s.width, s.width)
	}
	if length+n > s.capacity {
		return fmt.Errorf("append %d positions to %d of at most %d: %w", n, length, s.capacity, ErrFull)
	}
	s.grow(slot, length+n)
	var p *slotsProgram
	size := 0
	for done := 0; done < n; done += size {
		size = s.Chunk(n - done)
		p = s.program(1, size)
		copy(p.program.Ints(p.ids), ids[done*s.width:])
		p.program.Ints(p.slot)[0], p.program.Ints(p.start)[0] = int32(slot), int32(length+done)
		if err := p.program.Forward(); err != nil {
			return err
		}
	}
	s.lengths[slot] += n
	s.keep(slot, p, size-1)
	return nil
}

// Step adds the same number of positions, one of those that Chunk returns, to each of 1 to MaxStep different slots, in one run:
// ids [len(slots), n, width]. It gives each slot bit for bit what Append gives it. After an error (ErrFull, or an id outside the
// vocabulary) nothing has changed. It does not allocate, except when the slab grows and when that many slots step for the first
// time since then.
func (s *Slots) Step(slots []int, ids []int32) error {
	if len(slots) == 0 || len(slots) > MaxStep || len(ids) == 0 || len(ids)%(len(slots)*s.width) != 0 {
		return fmt.Errorf("a step of %d slots with %d ids: want 1 to %d slots with positions of %d ids each", len(slots), len(ids), MaxStep, s.width)
	}
	n := len(ids) / (len(slots) * s.width)
	if !slices.Contains(chunkSizes, n) {
		return fmt.Errorf("a step of %d positions: want one of %v", n, chunkSizes)
	}
	longest := 0
	for _, slot := range slots {
		length := s.lengths[slot]
		if length+n > s.capacity {
			return fmt.Errorf("append %d positions to %d of at most %d, in slot %d: %w", n, length, s.capacity, slot, ErrFull)
		}
		longest = max(longest, length)
	}
	s.grow(slices.Max(slots), longest+n)
	at, _ := slices.BinarySearch(stepSizes, len(slots))
	p := s.program(stepSizes[at], n)
	in, slot, start := p.program.Ints(p.ids), p.program.Ints(p.slot), p.program.Ints(p.start)
	clear(in[copy(in, ids):])
	for i := range slot {
		slot[i], start[i] = -1, 0
		if i < len(slots) {
			slot[i], start[i] = int32(slots[i]), int32(s.lengths[slots[i]])
		}
	}
	if err := p.program.Forward(); err != nil {
		return err
	}
	for i, slot := range slots {
		s.lengths[slot] += n
		s.keep(slot, p, i*n+n-1)
	}
	return nil
}

// keep makes a row of a program's hidden states that of a slot.
func (s *Slots) keep(slot int, p *slotsProgram, row int) {
	copy(s.Hidden(slot), p.program.Floats(p.hidden)[row*s.model.Config.HiddenSize:])
}

// Saved is a context outside of the slab.
type Saved struct {
	length       int
	hidden       []float32   // [D]
	keys, values [][]float32 // by layer: [length, key-value heads * head size]
}

// Len returns the number of positions of the context.
func (x *Saved) Len() int { return x.length }

// Save copies a slot's context. The slot stays as it is.
func (s *Slots) Save(slot int) *Saved {
	x := &Saved{length: s.lengths[slot], hidden: slices.Clone(s.Hidden(slot))}
	for l := range s.keys {
		x.keys = append(x.keys, slices.Clone(s.part(s.keys[l], slot, x.length)))
		x.values = append(x.values, slices.Clone(s.part(s.values[l], slot, x.length)))
	}
	return x
}

// Restore makes a slot hold what Save copied from a slot of the same model, this one or another, exactly.
func (s *Slots) Restore(slot int, x *Saved) {
	if x.length > s.capacity {
		panic(fmt.Sprintf("backbone: restore a context of %d positions in one of at most %d", x.length, s.capacity))
	}
	s.grow(slot, x.length)
	s.lengths[slot] = x.length
	copy(s.Hidden(slot), x.hidden)
	for l := range s.keys {
		copy(s.part(s.keys[l], slot, x.length), x.keys[l])
		copy(s.part(s.values[l], slot, x.length), x.values[l])
	}
}

// part returns the first positions of a slot in a layer's keys or values. Of a slot without memory there are none.
func (s *Slots) part(layer []float32, slot, positions int) []float32 {
	if positions == 0 {
		return nil
	}
	width := s.keySize()
	return layer[slot*s.room*width:][:positions*width]
}

// keySize returns how many numbers the keys of a position have in a layer.
func (s *Slots) keySize() int { return s.model.Config.HeadSize() * s.model.Config.NumKeyValueHeads }

// grow makes room for so many positions in a slot. The slots in use and their positions double.
func (s *Slots) grow(slot, positions int) {
	used, room := s.used, s.room
	for used <= slot {
		used *= 2
	}
	if positions > room {
		room = max(positions, 2*room)
	}
	s.reserve(used, room)
}

// reserve gives memory to the first slots, at most all, for so many positions each, at most the capacity. Contexts stay.
func (s *Slots) reserve(slots, positions int) {
	used, room := max(min(slots, len(s.lengths)), s.used), max(min(positions, s.capacity), s.room)
	if used == s.used && room == s.room {
		return
	}
	width := s.keySize()
	for _, list := range [][][]float32{s.keys, s.values} {
		for l, old := range list {
			list[l] = make([]float32, used*room*width)
			for slot := range s.used {
				copy(list[l][slot*room*width:], s.part(old, slot, s.lengths[slot]))
			}
		}
	}
	s.used, s.room = used, room
	clear(s.programs) // they address the slab by its old sizes
}

// program returns the program for so many rows, each a slot, and positions of each. It is compiled when first asked for.
func (s *Slots) program(rows, positions int) *slotsProgram {
	key := [2]int{rows, positions}
	if p := s.programs[key]; p != nil {
		return p
	}
	g := nn.NewGraph()
	p := &slotsProgram{ids: g.Ints("ids", rows, positions, s.width), slot: g.Ints("slot", rows), start: g.Ints("start", rows)}
	caches := s.model.Caches(g, s.used, s.room)
	p.hidden = s.model.Continue(g, s.embed(g, p.ids), caches, p.slot, p.start)
	g.Output(p.hidden)
	p.program = s.engine.ForStreams(rows).Compile(g, cpu.Inference)
	for l, cache := range caches {
		p.program.Bind(cache.K, s.keys[l])
		p.program.Bind(cache.V, s.values[l])
	}
	s.programs[key] = p
	return p
}
