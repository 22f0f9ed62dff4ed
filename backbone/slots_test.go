package backbone_test

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"pgregory.net/rapid"
)

// slotted is a small model whose contexts are in slots.
type slotted struct {
	params *nn.Params
	model  *backbone.Model
	embed  backbone.Embed
}

func newSlotted() *slotted {
	c := backbone.Default(2, 24, 40, 4)
	c.NumKeyValueHeads, c.InitializerRange = 2, .3
	x := &slotted{params: nn.NewParams()}
	x.model = backbone.New(c, x.params, "model.")
	table := x.params.Table("table", nn.Gaussian(1), vocab, c.HiddenSize/width)
	x.params.Initialize(1)
	x.embed = func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
		return g.Reshape(g.Embedding(g.Param(table), ids, -1), ids.Dim(0), ids.Dim(1), c.HiddenSize)
	}
	return x
}

func (x *slotted) open(e *cpu.Engine, slots, capacity int) *backbone.Slots {
	return x.model.NewSlots(e, x.embed, slots, width, capacity)
}

// history is what was done to a context: appended ids, or a length that it was cut to.
type history []struct {
	ids []int32
	cut int
}

// replay does a history to a context alone.
func (h history) replay(t rapid.TB, alone *backbone.Slots) {
	t.Helper()
	alone.Truncate(0, 0)
	for _, do := range h {
		if do.ids == nil {
			alone.Truncate(0, do.cut)
		} else if err := alone.Append(0, do.ids); err != nil {
			t.Fatal(err)
		}
	}
}

// schedule is a random use of slots, with what was done to each.
type schedule struct {
	slots     *backbone.Slots
	alone     *backbone.Slots
	histories []history
	saved     []*backbone.Saved
	kept      []history // of saved
}

const slotsCapacity = 150

func (s *schedule) free(slot int) int { return slotsCapacity - s.slots.Len(slot) }

// did adds to a slot's history and compares the hidden state with that of a context alone.
func (s *schedule) did(t *rapid.T, slot int, ids []int32, cut int) {
	s.histories[slot] = append(slices.Clip(s.histories[slot]), struct {
		ids []int32
		cut int
	}{ids, cut})
	s.histories[slot].replay(t, s.alone)
	if ids != nil && !slices.Equal(s.slots.Hidden(slot), s.alone.Hidden(0)) {
		t.Fatalf("slot %d of %d positions: another hidden state than alone", slot, s.slots.Len(slot))
	}
}

func (s *schedule) append(t *rapid.T) {
	slot := rapid.IntRange(0, len(s.histories)-1).Draw(t, "slot")
	n := rapid.SampledFrom([]int{1, 2, 5, 16, 17, 70}).Draw(t, "n")
	if n > s.free(slot) {
		t.Skip("full")
	}
	ids := randomIDs(rapid.Uint64().Draw(t, "ids"), n*width)
	if err := s.slots.Append(slot, ids); err != nil {
		t.Fatal(err)
	}
	s.did(t, slot, ids, 0)
}

func (s *schedule) step(t *rapid.T) {
	all := make([]int, len(s.histories))
	for i := range all {
		all[i] = i
	}
	slots := rapid.Permutation(all).Draw(t, "slots")[:rapid.IntRange(1, min(len(all), backbone.MaxStep)).Draw(t, "n")]
	n := rapid.SampledFrom([]int{1, 1, 1, 4, 16, 64}).Draw(t, "positions")
	slots = slices.DeleteFunc(slots, func(slot int) bool { return s.free(slot) < n })
	if len(slots) == 0 {
		t.Skip("full")
	}
	ids := randomIDs(rapid.Uint64().Draw(t, "ids"), len(slots)*n*width)
	if err := s.slots.Step(slots, ids); err != nil {
		t.Fatal(err)
	}
	for i, slot := range slots {
		s.did(t, slot, ids[i*n*width:(i+1)*n*width], 0)
	}
}

func (s *schedule) truncate(t *rapid.T) {
	slot := rapid.IntRange(0, len(s.histories)-1).Draw(t, "slot")
	n := rapid.IntRange(0, s.slots.Len(slot)).Draw(t, "n")
	s.slots.Truncate(slot, n)
	s.did(t, slot, nil, n)
}

func (s *schedule) save(t *rapid.T) {
	slot := rapid.IntRange(0, len(s.histories)-1).Draw(t, "slot")
	s.saved, s.kept = append(s.saved, s.slots.Save(slot)), append(s.kept, s.histories[slot])
	if n := s.saved[len(s.saved)-1].Len(); n != s.slots.Len(slot) {
		t.Fatalf("%d positions saved of %d", n, s.slots.Len(slot))
	}
}

func (s *schedule) restore(t *rapid.T) {
	if len(s.saved) == 0 {
		t.Skip("nothing is saved")
	}
	slot, i := rapid.IntRange(0, len(s.histories)-1).Draw(t, "slot"), rapid.IntRange(0, len(s.saved)-1).Draw(t, "saved")
	s.slots.Restore(slot, s.saved[i])
	s.histories[slot] = s.kept[i]
	if h := s.histories[slot]; len(h) > 0 && h[len(h)-1].ids != nil {
		h.replay(t, s.alone)
		if !slices.Equal(s.slots.Hidden(slot), s.alone.Hidden(0)) {
			t.Fatalf("slot %d of %d positions: another hidden state than was saved", slot, s.slots.Len(slot))
		}
	}
}

// check compares the keys and values of a slot with those of a context alone.
func (s *schedule) check(t *rapid.T, slot int) {
	s.histories[slot].replay(t, s.alone)
	keys, values := s.slots.Save(slot).Parts()
	wantKeys, wantValues := s.alone.Save(0).Parts()
	if s.slots.Len(slot) != s.alone.Len(0) || !slices.EqualFunc(keys, wantKeys, slices.Equal) || !slices.EqualFunc(values, wantValues, slices.Equal) {
		t.Fatalf("slot %d of %d positions: other keys or values than alone", slot, s.slots.Len(slot))
	}
}

// TestSlotsSchedules: whatever is appended, stepped, cut, saved and restored in many slots, each holds bit for bit what a
// context alone holds.
func TestSlotsSchedules(t *testing.T) {
	x := newSlotted()
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		alone := x.open(e, 1, slotsCapacity)
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, 20).Draw(t, "slots")
			s := &schedule{slots: x.open(e, n, slotsCapacity), alone: alone, histories: make([]history, n)}
			t.Repeat(map[string]func(*rapid.T){
				"append": s.append, "step": s.step, "step again": s.step, "truncate": s.truncate, "save": s.save, "restore": s.restore,
			})
			for slot := range n {
				s.check(t, slot)
			}
		})
	})
}

// TestStep: a step gives each of up to MaxStep slots bit for bit what an append of one position gives a context alone, with
// weights of every format.
func TestStep(t *testing.T) {
	var x *slotted
	testkit.EachFormat(t, func() *nn.Params { x = newSlotted(); return x.params }, func(t *testing.T, _ *nn.Params) {
		testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
			const n, capacity = backbone.MaxStep, 40
			var alone []*backbone.Slots
			s := x.open(e, n, capacity)
			for slot := range n { // contexts of 0 to 15 positions
				alone = append(alone, x.open(e, 1, capacity))
				if slot > 0 {
					ids := randomIDs(uint64(slot), slot*width)
					if err := errors.Join(s.Append(slot, ids), alone[slot].Append(0, ids)); err != nil {
						t.Fatal(err)
					}
				}
			}
			for rows := 1; rows <= n; rows++ {
				var slots []int
				for i := range rows {
					slots = append(slots, (i*5+rows)%n)
				}
				ids := randomIDs(uint64(rows), rows*width)
				if err := s.Step(slots, ids); err != nil {
					t.Fatal(err)
				}
				for i, slot := range slots {
					if err := alone[slot].Append(0, ids[i*width:(i+1)*width]); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(s.Hidden(slot), alone[slot].Hidden(0)) {
						t.Fatalf("a step of %d slots gives slot %d another hidden state than it has alone", rows, slot)
					}
				}
			}
		})
	})
}

// TestChunk: a context that is appended in the pieces that Chunk says is bit for bit what it is if it is appended at once.
func TestChunk(t *testing.T) {
	x := newSlotted()
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		s := x.open(e, 2, 400)
		for _, n := range []int{1, 3, 4, 5, 63, 64, 84, 300, 341} {
			s.Truncate(0, 0)
			s.Truncate(1, 0)
			ids := randomIDs(uint64(n), n*width)
			if err := s.Append(0, ids); err != nil {
				t.Fatal(err)
			}
			for left := ids; len(left) > 0; {
				size := s.Chunk(len(left)/width) * width
				if err := s.Append(1, left[:size]); err != nil {
					t.Fatal(err)
				}
				left = left[size:]
			}
			keys, values := s.Save(0).Parts()
			pieceKeys, pieceValues := s.Save(1).Parts()
			if !reflect.DeepEqual(keys, pieceKeys) || !reflect.DeepEqual(values, pieceValues) || !slices.Equal(s.Hidden(0), s.Hidden(1)) {
				t.Errorf("%d positions: pieces of them give other bits", n)
			}
		}
	})
}

// TestSlotErrors: an error names its cause, and no slot has changed.
func TestSlotErrors(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	x := newSlotted()
	s := x.open(e, 3, 5)
	if err := errors.Join(s.Append(0, randomIDs(1, 5*width)), s.Append(2, randomIDs(2, 3*width))); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		all := ""
		for slot := range 3 {
			keys, values := s.Save(slot).Parts()
			all += fmt.Sprint(s.Len(slot), s.Hidden(slot), keys, values)
		}
		return all
	}
	before, bad := state(), slices.Repeat([]int32{vocab}, width)
	for want, do := range map[string]func() error{
		"append 1 positions to 5 of at most 5, in slot 0: the context is full":            func() error { return s.Step([]int{2, 0}, randomIDs(3, 2*width)) },
		"append 3 positions to 3 of at most 5: the context is full":                       func() error { return s.Append(2, randomIDs(3, 3*width)) },
		"append 3 ids to a context of 2 tokens a position: want a multiple of 2":          func() error { return s.Append(1, make([]int32, 3)) },
		"append 0 ids to a context of 2 tokens a position: want a multiple of 2":          func() error { return s.Append(1, nil) },
		"embedding table: token id 11 at position 2 is outside the vocabulary of 11":      func() error { return s.Step([]int{2, 1}, slices.Concat(randomIDs(3, width), bad)) },
		"embedding table: token id 11 at position 0 is outside the vocabulary of 11":      func() error { return s.Append(2, slices.Concat(randomIDs(3, width), bad)[width:]) },
		"attention: row 1 has slot 2, which an earlier row has too":                       func() error { return s.Step([]int{2, 2}, randomIDs(3, 2*width)) },
		"a step of 0 slots with 0 ids: want 1 to 16 slots with positions of 2 ids each":   func() error { return s.Step(nil, nil) },
		"a step of 1 slots with 3 ids: want 1 to 16 slots with positions of 2 ids each":   func() error { return s.Step([]int{2}, make([]int32, 3)) },
		"a step of 17 slots with 34 ids: want 1 to 16 slots with positions of 2 ids each": func() error { return s.Step(make([]int, 17), make([]int32, 34)) },
	} {
		err := do()
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
		if state() != before {
			t.Fatalf("%s: a slot has changed", want)
		}
	}
	if err := s.Append(0, randomIDs(3, width)); !errors.Is(err, backbone.ErrFull) {
		t.Errorf("a full slot: %v", err)
	}
	if err := s.Step([]int{1, 2}, randomIDs(4, 2*width)); err != nil || s.Len(1) != 1 || s.Len(2) != 4 {
		t.Errorf("a step after errors: %v, %d and %d positions", err, s.Len(1), s.Len(2))
	}
}

// TestSlotsMemory: memory is given to the slots in use and to the longest context, twice as much each time, and one short text
// takes what a single context takes.
func TestSlotsMemory(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	x := newSlotted()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := x.open(e, 12, 1<<20)
	appendTo := func(slot, n int) {
		t.Helper()
		if err := s.Append(slot, randomIDs(1, n*width)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(slots, positions int) {
		t.Helper()
		if gotSlots, gotPositions := s.Memory(); gotSlots != slots || gotPositions != positions {
			t.Errorf("memory for %d slots of %d positions, want %d of %d", gotSlots, gotPositions, slots, positions)
		}
	}
	appendTo(0, 1)
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
		t.Errorf("one position of a long context takes %d bytes", taken)
	}
	want(1, 64)
	appendTo(0, 64)
	want(1, 128)
	appendTo(2, 3)
	want(4, 128)
	if err := s.Step([]int{4, 1, 0}, randomIDs(2, 3*width)); err != nil {
		t.Fatal(err)
	}
	want(8, 128)
	saved := s.Save(0)
	s.Restore(11, saved)
	want(12, 128)
	appendTo(0, 500)
	want(12, 566)
	appendTo(0, 1)
	want(12, 1132)
	if !reflect.DeepEqual(s.Save(11), saved) {
		t.Error("a slot has changed while the memory grew")
	}
}

// TestSlotsDoNotAllocate: a step does not allocate once its programs are compiled, and neither does an append of one position.
func TestSlotsDoNotAllocate(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 2})
	defer e.Close()
	s := newSlotted().open(e, 16, 64)
	all := make([]int, 16)
	for i := range all {
		all[i] = i
	}
	ids := randomIDs(1, 50*width)
	if err := s.Append(0, ids); err != nil { // the engine's tables of angles grow too
		t.Fatal(err)
	}
	s.Truncate(0, 0)
	for _, n := range []int{16, 1, 2, 3, 5, 11, 16} {
		step := func() {
			if err := s.Step(all[:n], ids[:n*width]); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if a := testing.AllocsPerRun(5, step); a != 0 {
			t.Errorf("a step of %d slots allocates %v times", n, a)
		}
	}
	if a := testing.AllocsPerRun(5, func() {
		if err := s.Append(3, ids[:width]); err != nil {
			t.Fatal(err)
		}
	}); a != 0 {
		t.Errorf("an append of one position allocates %v times", a)
	}
}

// TestPiecesOf64: a context that is appended in pieces of 64 positions is bit for bit what it is in pieces of 256.
func TestPiecesOf64(t *testing.T) {
	x := newSlotted()
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		for _, before := range []int{0, 1, 21, 64} {
			slots, ids := x.open(e, 2, 512), randomIDs(7, 512*width)
			for slot, piece := range []int{256, 64} {
				if before > 0 {
					if err := slots.Append(slot, ids[:before*width]); err != nil {
						t.Fatal(err)
					}
				}
				for at := 0; at < 256; at += piece {
					if err := slots.Append(slot, ids[at*width:][:piece*width]); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !reflect.DeepEqual(slots.Save(0), slots.Save(1)) {
				t.Errorf("after %d positions they differ", before)
			}
		}
	})
}
