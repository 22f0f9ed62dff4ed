package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/calm-go/calm"
)

// timeLimit is why a text ended that a request had no more time for. Other reasons are those of package calm.
const timeLimit calm.Stop = "time limit"

// text is one of the texts of an order.
type text struct {
	index  int // among the choices of the answer
	seed   uint64
	prompt *prompt
	result calm.Result
	ids    []int32
	text   strings.Builder
}

// prompt is what a text follows.
type prompt struct {
	text string // of ids: the text that they stand for
	ids  []int32
}

// finish returns the reason in OpenAI's words: length where the text could have gone on.
func (t *text) finish() string {
	switch t.result.Stop {
	case calm.StopEnd, calm.StopText:
		return "stop"
	}
	return "length"
}

// reader is told of the texts of an order as they are written. Its methods are called from several goroutines, but for one text
// from one at a time. An error of one ends all texts.
type reader struct {
	begin func(t *text) error               // a text begins
	piece func(t *text, c calm.Chunk) error // it goes on
	end   func(t *text) error               // it has ended
}

// idsOfPrompts turns the prompts of an order into ids.
func (o *order) idsOfPrompts() ([]*prompt, error) {
	var all []*prompt
	tok := o.run.about.TextTokenizer()
	for _, in := range o.prompts {
		p := &prompt{in.text, in.ids}
		switch {
		case in.byID && tok != nil:
			for _, id := range in.ids {
				if int(id) >= tok.VocabSize() {
					return nil, badField("prompt", "the prompt has the id %d: %s has 0 to %d", id, o.run.name, tok.VocabSize()-1)
				}
			}
			p.text = string(tok.AppendDecode(nil, in.ids))
		case !in.byID && tok == nil:
			return nil, badField("prompt", "%s was imported without a tokenizer: give the prompt as ids; texts are in token_ids", o.run.name)
		case !in.byID:
			p.ids = tok.Encode(in.text)
		}
		all = append(all, p)
	}
	return all, nil
}

// checkEcho refuses prompts that would make an answer longer than the texts of a request may be.
func (s *Server) checkEcho(o *order, prompts []*prompt) error {
	tokens := 0
	for _, p := range prompts {
		tokens += o.n * len(p.ids)
	}
	if o.echo && tokens > s.options.MaxTokens {
		return badField("echo", "with echo, the prompts alone would be %d tokens of the answer: this server writes at most %d tokens for a request", tokens, s.options.MaxTokens)
	}
	return nil
}

// write writes the texts of an order, each from when it has a slot, and returns them when all have ended.
func (s *Server) write(ctx context.Context, o *order, to reader) ([]*text, error) {
	arrived := time.Now()
	place, err := s.gate.enter()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	prompts, err := o.idsOfPrompts()
	if err == nil {
		err = s.checkEcho(o, prompts)
	}
	if err != nil {
		return nil, err
	}
	m, release, err := s.models.acquire(ctx, o.run)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var texts []*text
	for _, p := range prompts {
		for i := range o.n {
			texts = append(texts, &text{index: len(texts), seed: o.options.Seed + uint64(i), prompt: p})
		}
		if err := m.GenerateIDs(ctx, p.ids, o.options).Err(); err != nil {
			return nil, err
		}
		s.metrics.prompt(o.run.name, len(p.ids))
	}
	var all sync.WaitGroup
	begun := 0
	for _, t := range texts {
		if place.take(ctx) != nil {
			break // the reason is below
		}
		begun++
		all.Go(func() {
			defer place.free()
			if err := s.writeText(ctx, m, o, t, to, arrived); err != nil {
				stop(err) // the first one counts
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil && (begun == 0 || !errors.Is(err, errTimeLimit)) {
		return nil, err
	}
	for _, t := range texts[begun:] {
		t.result.Stop = timeLimit
		if err := errors.Join(to.begin(t), to.end(t)); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// writeText writes one text, which has a slot.
func (s *Server) writeText(ctx context.Context, m *calm.Model, o *order, t *text, to reader, arrived time.Time) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a text panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if err := to.begin(t); err != nil {
		return err
	}
	if o.nothing {
		t.result.Stop = calm.StopMaxTokens
		return to.end(t)
	}
	options := o.options
	options.Seed = t.seed
	g := m.GenerateIDs(ctx, t.prompt.ids, options)
	watch := s.metrics.watch(o.run.name, arrived)
	for chunk, err := range g.Chunks() {
		watch.progress(g.Result())
		if err != nil && !errors.Is(context.Cause(ctx), errTimeLimit) {
			return err
		} else if err != nil {
			break
		}
		t.text.WriteString(chunk.Text)
		t.ids = append(t.ids, chunk.Tokens...)
		if err := to.piece(t, chunk); err != nil {
			return err
		}
	}
	t.result = g.Result()
	watch.progress(t.result)
	if t.result.Stop == calm.StopInterrupted {
		t.result.Stop = timeLimit
	}
	return to.end(t)
}
