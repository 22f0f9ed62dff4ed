package lm

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/nn/cpu"
)

// Shape implements [generate.Model].
func (m *Model) Shape() generate.Shape {
	v := m.Vocabulary()
	return generate.Shape{PatchSize: m.Config.PatchSize, VocabSize: v.Size, BOS: v.BOS, EOS: v.EOS, MaxPatches: m.Config.MaxPositionEmbeddings}
}

// NewSource implements [generate.Model].
func (m *Model) NewSource(e *cpu.Engine) generate.Source {
	return &source{engine: e, model: m, programs: newPrograms(e, m)}
}

// source is a language model that writes. Its slots are made when they are first needed, and kept.
type source struct {
	engine   *cpu.Engine
	model    *Model
	slots    *backbone.Slots
	programs *programs
	writers  [generate.MaxStreams]*writer // by slot; nil where there is no text

	pools []*Pool // of a call of Write
}

// writer chooses the patches of one text.
type writer struct {
	seed    uint64
	sampler *PatchSampler
	sizes   []int // see Pool.DrawAtOnce
	pool    *Pool

	// The sampler runs as a coroutine, so that the draws of several texts are made together: it stops where its pool waits for
	// a run, and where the patch is done. resume lets it go on, and stop ends it. A text without a slot has none.
	resume func() (struct{}, bool)
	stop   func()
	patch  *generate.Patch // being written; nil: none
	err    error           // of the run that the pool waited for
}

// Check implements [generate.Source].
func (s *source) Check(o generate.Options) error {
	_, _, err := NewPatchSampler(o, s.model.Config.PatchSize)
	return err
}

// Begin implements [generate.Source].
func (s *source) Begin(slot int, o generate.Options) {
	if s.slots == nil { // the last patch of a context is written and never read
		s.slots = s.model.NewSlots(s.engine, generate.MaxStreams, s.model.Config.MaxPositionEmbeddings-1)
	}
	s.slots.Truncate(slot, 0)
	s.End(slot)
	sampler, sizes, err := NewPatchSampler(o, s.model.Config.PatchSize)
	if err != nil {
		panic(err) // Check had to report it
	}
	s.start(slot, &writer{seed: o.Seed, sampler: sampler, sizes: sizes})
	s.programs.keep(func(n int) bool {
		return slices.ContainsFunc(s.writers[:], func(w *writer) bool { return w != nil && slices.Contains(w.sizes, n) })
	})
}

// start makes a text's pool and coroutine.
func (s *source) start(slot int, w *writer) {
	w.pool = newPool(s.programs)
	w.pool.sizes = w.sizes
	w.resume, w.stop = iter.Pull(w.patches)
	s.writers[slot] = w
}

// End implements [generate.Source].
func (s *source) End(slot int) {
	if w := s.writers[slot]; w != nil {
		w.stop()
		s.writers[slot] = nil
	}
}

// saved is a text that has no slot.
type saved struct {
	writer  *writer
	context *backbone.Saved
}

// Save implements [generate.Source]. The coroutine and the pool's memory end: the text may be forgotten while it has no slot, and
// no patch is being written.
func (s *source) Save(slot int) any {
	w := s.writers[slot]
	s.End(slot)
	return saved{&writer{seed: w.seed, sampler: w.sampler, sizes: w.sizes}, s.slots.Save(slot)}
}

// Restore implements [generate.Source].
func (s *source) Restore(slot int, text any) {
	t := text.(saved)
	s.slots.Restore(slot, t.context)
	s.start(slot, t.writer)
}

// Piece implements [generate.Source].
func (s *source) Piece(n int) int { return s.slots.Chunk(n) }

// Read implements [generate.Source].
func (s *source) Read(slots []int, ids []int32) error { return s.slots.Step(slots, ids) }

// Write implements [generate.Source]. The noise of a draw is a function of the seed, the patch's number and the draw's:
// how many are made at once does not matter.
func (s *source) Write(patches []*generate.Patch) {
	for _, p := range patches {
		if w := s.writers[p.Slot]; w.patch == nil {
			w.begin(p, s.slots.Hidden(p.Slot))
		}
	}
	// A patch takes a run for its pool, and at most one for each token with most samplers.
	for range 2 * (1 + s.model.Config.PatchSize) {
		s.pools = s.pools[:0]
		for _, p := range patches {
			if w := s.writers[p.Slot]; !p.Done && p.Stopped.Load() {
				p.Err, p.Done = context.Canceled, true
			} else if !p.Done {
				s.pools = append(s.pools, w.pool)
			}
		}
		if len(s.pools) == 0 {
			return
		}
		err := s.programs.run(s.pools)
		for _, p := range patches {
			if !p.Done {
				w := s.writers[p.Slot]
				w.err = err
				w.resume()
			}
		}
	}
}

// begin begins a patch that follows hidden [D].
func (w *writer) begin(p *generate.Patch, hidden []float32) {
	w.patch = p
	w.pool.Begin(hidden, generate.Noise(w.seed, p.Step))
	w.resume()
}

// errStopped ends a sampler whose text is not written any more.
var errStopped = errors.New("the text has ended")

// patches writes patch after patch, as a coroutine.
func (w *writer) patches(yield func(struct{}) bool) {
	on := true
	w.pool.await = func() error {
		if on = yield(struct{}{}); !on {
			return errStopped
		}
		return w.err
	}
	for on {
		p := w.patch
		draws, err := w.sampler.Sample(p.IDs, w.pool, generate.Decisions(w.seed, p.Step))
		if !on {
			return
		}
		if _, none := errors.AsType[*temperature.DivergedError](err); none {
			err = w.pool.Diverged() // it says what to do
		}
		p.Draws, p.Err, p.Done = draws, err, true
		p.Shares = append(p.Shares[:0], w.sampler.Shares()...)
		w.patch = nil
		on = yield(struct{}{})
	}
}
