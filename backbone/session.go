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

// Embed adds the input of a backbone to a graph: ids [B, T, width] int32 give x [B, T, D].
type Embed func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor

// Session holds B contexts of one length, with their keys and values, and appends to them. A context is a row of
// positions, a position is width tokens. The memory for keys and values grows with the contexts. A Session is not safe
// for concurrent use: one program of an engine runs at a time.
type Session struct {
	model  *Model
	engine *cpu.Engine
	embed  Embed
	rows   int
	width  int

	capacity int         // max positions
	room     int         // positions that have memory, at most capacity
	length   int         // positions in each context
	keys     [][]float32 // by layer: [rows, room, key-value heads * head size]
	values   [][]float32
	chunks   []*chunk  // by chunkSizes, nil until needed; compiled for room
	hidden   []float32 // [rows, D]
}

// chunk is a program for a fixed number of new positions.
type chunk struct {
	size                     int
	program                  *cpu.Program
	ids, slot, start, hidden *nn.Tensor
}

// firstRoom is the number of positions that a new session has memory for. Each time it is full, it doubles.
const firstRoom = 64

// NewSession makes empty contexts for that many rows, of at most capacity positions each.
func (m *Model) NewSession(e *cpu.Engine, embed Embed, rows, width, capacity int) *Session {
	s := &Session{model: m, engine: e, embed: embed, rows: rows, width: width, capacity: capacity,
		keys: make([][]float32, len(m.blocks)), values: make([][]float32, len(m.blocks)),
		chunks: make([]*chunk, len(chunkSizes)), hidden: make([]float32, rows*m.Config.HiddenSize)}
	s.reserve(firstRoom)
	return s
}

// reserve allocates the memory for contexts of that many positions, at most Capacity, at once instead of step by step.
// The contexts keep their contents. Memory never shrinks.
func (s *Session) reserve(positions int) {
	room := min(positions, s.capacity)
	if room <= s.room {
		return
	}
	width := s.model.Config.HeadSize() * s.model.Config.NumKeyValueHeads
	for _, list := range [][][]float32{s.keys, s.values} {
		for l, old := range list {
			list[l] = make([]float32, s.rows*room*width)
			for b := range s.rows {
				copy(list[l][b*room*width:], old[b*s.room*width:][:s.length*width])
			}
		}
	}
	s.room = room
	clear(s.chunks) // they address rows by the old room
}

// grow makes room for n more positions.
func (s *Session) grow(n int) {
	if need := s.length + n; need > s.room {
		s.reserve(max(need, 2*s.room))
	}
}

// Rows returns the number of contexts.
func (s *Session) Rows() int { return s.rows }

// Len returns the number of positions in each context.
func (s *Session) Len() int { return s.length }

// Capacity returns the number of positions a context may have.
func (s *Session) Capacity() int { return s.capacity }

// Hidden returns the hidden states [B, D] of the positions appended last. The memory is the session's and changes with
// the next Append.
func (s *Session) Hidden() []float32 { return s.hidden }

// Truncate cuts the contexts to their first n positions. Hidden is not valid until the next Append.
func (s *Session) Truncate(n int) {
	if n < 0 || n > s.length {
		panic(fmt.Sprintf("backbone: truncate a context of %d positions to %d", s.length, n))
	}
	s.length = n
}

// Append adds the same number of positions to every context: ids [B, n, width], n at least 1. After an error (ErrFull,
// or an id outside the vocabulary) the session is unchanged. Appending a single position does not allocate if it has
// memory already.
func (s *Session) Append(ids []int32) error {
	n := len(ids) / (s.rows * s.width)
	if n == 0 || n*s.rows*s.width != len(ids) {
		return fmt.Errorf("append %d ids to %d contexts of %d tokens a position: want a multiple of %d",
			len(ids), s.rows, s.width, s.rows*s.width)
	}
	if s.length+n > s.capacity {
		return fmt.Errorf("append %d positions to %d of at most %d: %w", n, s.length, s.capacity, ErrFull)
	}
	s.grow(n)
	var last *chunk
	for done := 0; done < n; done += last.size {
		last = s.fitting(n - done)
		if err := s.run(last, ids, n, done); err != nil {
			return err
		}
	}
	s.length += n
	d, out := s.model.Config.HiddenSize, last.program.Floats(last.hidden)
	for b := range s.rows {
		copy(s.hidden[b*d:(b+1)*d], out[(b*last.size+last.size-1)*d:])
	}
	return nil
}

// run appends positions done, done+1, .. of the n in ids with the program of a chunk.
func (s *Session) run(c *chunk, ids []int32, n, done int) error {
	in, slot, start := c.program.Ints(c.ids), c.program.Ints(c.slot), c.program.Ints(c.start)
	for b := range s.rows {
		copy(in[b*c.size*s.width:(b+1)*c.size*s.width], ids[(b*n+done)*s.width:])
		slot[b], start[b] = int32(b), int32(s.length+done)
	}
	return c.program.Forward()
}

// fitting returns the largest chunk of at most n positions.
func (s *Session) fitting(n int) *chunk {
	i, found := slices.BinarySearch(chunkSizes, n)
	if !found {
		i--
	}
	return s.chunk(i)
}

// chunk returns the program for chunkSizes[i], compiled when first asked for.
func (s *Session) chunk(i int) *chunk {
	if s.chunks[i] != nil {
		return s.chunks[i]
	}
	g := nn.NewGraph()
	c := &chunk{size: chunkSizes[i]}
	c.ids = g.Ints("ids", s.rows, c.size, s.width)
	c.slot, c.start = g.Ints("slot", s.rows), g.Ints("start", s.rows)
	caches := s.model.Caches(g, s.rows, s.room)
	c.hidden = s.model.Continue(g, s.embed(g, c.ids), caches, c.slot, c.start)
	g.Output(c.hidden)
	c.program = s.engine.Compile(g, cpu.Inference)
	for l, cache := range caches {
		c.program.Bind(cache.K, s.keys[l])
		c.program.Bind(cache.V, s.values[l])
	}
	s.chunks[i] = c
	return c
}
