package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/calm-go/calm/internal/temperature"
)

// ErrClosed is the error of texts whose generator was closed.
var ErrClosed = errors.New("the model is closed")

// ahead is how many patches of a text are written before its reader has taken the first of them. With two, the texts that are
// written together stay together: a reader has the time of a whole patch to take one.
const ahead = 2

// stream is the writer's side of a text: patch after patch, cut where the text ends. The goroutine that writes owns it, but for
// out and the fields after it. The slot changes only with Generator.mu held.
type stream struct {
	g       *Generator
	options Options
	context []int32 // whole patches that the model attends to, the patch written last included
	unread  []int32 // the end of context that the source has not read yet
	window  int     // patches that the context can have, the one to write included
	begun   bool    // the source has begun to read the context
	limit   int     // tokens to write at most; 0: none
	made    int     // tokens that count
	slides  int     // since the last patch
	next    Patch   // being written
	saved   any     // of the source, while the stream has no slot after it had one
	ended   bool    // the last patch is in out

	out  chan written // has room for the patches written ahead
	left atomic.Bool  // nobody reads any more

	// Guarded by Generator.mu:
	queued bool // in Generator.waiting
	over   bool // needs no slot any more
}

// written is a patch as its reader gets it.
type written struct {
	Chunk        // the tokens that count; no text yet
	stop   Stop  // "": the text goes on
	draws  int   // that the patch took
	slides int   // of the context before it
	err    error // the patch was not written
}

// noSlot is the slot of a stream that has none.
const noSlot = -1

func (g *Generator) newStream(prompt []int32, o Options) *stream {
	s := &stream{g: g, options: o, context: g.aligned(prompt, o.Tail), window: g.patches(o), limit: o.MaxTokens, out: make(chan written, ahead)}
	s.unread = s.context
	if s.limit == 0 && o.ContextFull != StopWhenFull {
		s.limit = g.context(o)
	}
	s.next = Patch{Slot: noSlot, Stopped: &s.left, IDs: make([]int32, g.shape.PatchSize)}
	return s
}

// ready reports whether another patch may be written.
func (s *stream) ready() bool { return !s.ended && !s.left.Load() && len(s.out) < ahead }

// full reports whether the context has no room for another patch.
func (s *stream) full() bool { return len(s.context) == s.window*s.g.shape.PatchSize }

// slide makes a full context one of BOS and its newest tokens, so many that both fill half of it. The source has to read
// it from the beginning. The patches stay where they were on their grid: BOS replaces the first token of one.
func (s *stream) slide() {
	half, start := s.window/2*s.g.shape.PatchSize, s.g.start()
	newest := s.context[len(s.context)-(half-len(start)):]
	copy(s.context[copy(s.context, start):], newest)
	s.context = s.context[:half]
	s.unread, s.begun = s.context, false
	s.slides++
}

// prepare makes room for another patch. It reports whether the source has to read more than a patch before.
func (s *stream) prepare() bool {
	if s.full() {
		s.slide()
	}
	if !s.begun {
		s.g.source.Begin(s.next.Slot, s.options)
		s.begun = true
	}
	return s.reads()
}

// reads reports whether the source has to read more than a patch before the next is written. A single one is read together with
// those of other streams.
func (s *stream) reads() bool { return len(s.unread) > s.g.shape.PatchSize }

// piece returns how many patches of what the source has not read it reads in one run, of at most that many.
func (s *stream) piece(limit int) int {
	return s.g.source.Piece(min(len(s.unread)/s.g.shape.PatchSize, limit))
}

// give gives the reader the patch that was written.
func (s *stream) give() {
	p := &s.next
	p.Done = false
	if p.Err != nil {
		s.fail(p.Err, p.Draws)
		return
	}
	end := len(s.context)
	s.context = append(s.context, p.IDs...)
	s.unread = s.context[end:]
	w := written{draws: p.Draws, slides: s.slides}
	w.Tokens, w.stop = s.cut(p.IDs)
	if len(p.Shares) > 0 {
		w.Shares = slices.Clone(p.Shares[:len(w.Tokens)])
	}
	s.made += len(w.Tokens)
	if w.stop == "" && s.full() && s.options.ContextFull == StopWhenFull {
		w.stop = StopContext
	}
	s.slides, s.ended = 0, w.stop != ""
	p.Step++
	s.out <- w
}

// cut returns a copy of the tokens of a patch that count, and why the text ends among them, if it does.
func (s *stream) cut(patch []int32) ([]int32, Stop) {
	for i, id := range patch {
		if id == s.g.shape.EOS || id == s.g.shape.BOS { // the training text has BOS between documents, and no EOS
			return slices.Clone(patch[:i]), StopEnd
		}
		if s.made+i+1 == s.limit {
			return slices.Clone(patch[:i+1]), StopMaxTokens
		}
	}
	return slices.Clone(patch), ""
}

// fail ends the text with an error of the patch that is being written.
func (s *stream) fail(err error, draws int) {
	number := s.next.Step + 1
	if budget, ok := errors.AsType[*temperature.BudgetError](err); ok {
		err = &BudgetError{Patch: number, Draws: budget.Draws, T: budget.T, err: err}
	} else {
		err = fmt.Errorf("generate: patch %d: %w", number, err)
	}
	s.ended = true
	s.out <- written{draws: draws, slides: s.slides, err: err}
}

// take waits for the next patch.
func (s *stream) take(ctx context.Context) (written, error) {
	if err := ctx.Err(); err != nil {
		return written{}, err
	}
	if s.g.isClosed() {
		return written{}, ErrClosed
	}
	s.g.want(s)
	select {
	case w := <-s.out:
		if w.stop == "" && w.err == nil {
			s.g.want(s) // there is room for another
		}
		return w, nil
	case <-ctx.Done():
		return written{}, ctx.Err()
	case <-s.g.closed:
		return written{}, ErrClosed
	}
}

// leave ends a text that is not read to its end.
func (s *stream) leave() {
	s.left.Store(true)
	s.g.want(s) // to free its slot
}
