package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/calm-go/calm/internal/temperature"
)

// Chunk is a piece of text as it comes: the tokens of a patch, or of the part that counts, and the text that is certain
// by now. A character that is not complete is held back until its other bytes come; so the text of a chunk may lag
// behind its tokens, and a last chunk may have text only. With Options.StopTexts both are held back where they may be the
// beginning of a stop text, and a token that is in part is held back as a whole.
type Chunk struct {
	Tokens []int32 // the caller's to keep
	Text   string  // "" without a tokenizer
}

// empty reports whether there is nothing in the chunk to hand out.
func (c Chunk) empty() bool { return len(c.Tokens) == 0 && c.Text == "" }

// Text is one text as it is being written. See Generator.Text.
type Text struct {
	g       *Generator
	options Options
	unread  []int32 // of the prompt, whole patches
	held    *held
	made    int     // tokens that count, those held back included
	patch   []int32 // written last [K]
	read    int     // patches that the source has read, or will have before it writes
	patches int     // that prompt and text can have together
	started time.Time
	begun   bool
	err     error // that ended the text, still to be returned
	result  Result
}

// Text begins a text after a prompt of ids, without BOS. It computes nothing yet. What Check reports is its error. The
// generator's text before it cannot go on.
func (g *Generator) Text(prompt []int32, o Options) (*Text, error) {
	if err := g.Check(prompt, o); err != nil {
		return nil, err
	}
	o.StopTexts = slices.Clone(o.StopTexts)
	t := &Text{g: g, options: o, held: newHeld(g.tok, o.StopTexts), unread: g.aligned(prompt, o.Tail), patch: make([]int32, g.shape.PatchSize), patches: g.patches(o),
		started: time.Now(), result: Result{PromptTokens: len(prompt), Context: g.context(o)}}
	t.read = len(t.unread) / g.shape.PatchSize
	return t, nil
}

// Result says how the text went, or goes.
func (t *Text) Result() Result { return t.result }

// Chunks writes the text to its end. An error is the last round of the loop; what came before it stands. Leaving the loop
// ends the text.
func (t *Text) Chunks(ctx context.Context) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for {
			chunk, err := t.Next(ctx)
			if err == io.EOF {
				return
			}
			if !yield(chunk, err) {
				t.Leave()
				return
			}
		}
	}
}

// Leave ends a text that is not to go on: Result says that it was interrupted, if it had not ended by itself.
func (t *Text) Leave() {
	if t.result.Stop == "" {
		t.result.Stop = StopInterrupted
	}
}

// Next reads what is left of the prompt and returns the next chunk. After the last one the error is io.EOF. Any other
// error ends the text; what it had written stands.
func (t *Text) Next(ctx context.Context) (Chunk, error) {
	for {
		if err := t.err; err != nil {
			t.err = nil
			return Chunk{}, err
		}
		if t.result.Stop != "" {
			return Chunk{}, io.EOF
		}
		chunk, err := t.write(ctx)
		t.result.Seconds = time.Since(t.started).Seconds()
		if err != nil {
			t.err, t.result.Stop = err, StopError
			if ctx.Err() != nil {
				t.result.Stop = StopInterrupted
			}
		}
		if !chunk.empty() {
			return chunk, nil
		}
	}
}

// readAtOnce is the number of patches of a prompt between two looks at the context: what a session reads in one run.
const readAtOnce = 256

// prefill reads the prompt.
func (t *Text) prefill(ctx context.Context) error {
	if !t.begun {
		t.g.source.Begin(t.options)
		t.begun = true
	}
	for len(t.unread) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(readAtOnce*t.g.shape.PatchSize, len(t.unread))
		if err := t.g.source.Read(t.unread[:n]); err != nil {
			return fmt.Errorf("generate: the prompt: %w", err)
		}
		t.unread = t.unread[n:]
	}
	return nil
}

// write writes a patch. With an error it returns what was held back.
func (t *Text) write(ctx context.Context) (Chunk, error) {
	r := &t.result
	err := t.prefill(ctx)
	if err == nil {
		err = t.step(ctx)
	}
	if err != nil {
		chunk := t.held.flush()
		r.Tokens += len(chunk.Tokens)
		return chunk, err
	}
	tokens := t.cut()
	t.made += len(tokens)
	if r.Stop == "" && t.read+1 == t.patches {
		r.Stop = StopContext
	}
	chunk, stopped := t.held.add(tokens)
	if stopped {
		r.Stop = StopText
	} else if r.Stop != "" {
		rest := t.held.flush()
		chunk = Chunk{append(chunk.Tokens, rest.Tokens...), chunk.Text + rest.Text}
	}
	r.Tokens += len(chunk.Tokens)
	return chunk, nil
}

// step reads the patch written before, if there is one, and writes another.
func (t *Text) step(ctx context.Context) error {
	r := &t.result
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.Patches > 0 {
		if err := t.g.source.Read(t.patch); err != nil {
			return fmt.Errorf("generate: patch %d: %w", r.Patches, err)
		}
		t.read++
	}
	draws, err := t.g.source.Write(ctx, t.patch, r.Patches)
	r.Draws += draws
	if budget, ok := errors.AsType[*temperature.BudgetError](err); ok {
		return &BudgetError{Patch: r.Patches + 1, Draws: budget.Draws, T: budget.T, err: err}
	}
	if err != nil {
		return fmt.Errorf("generate: patch %d: %w", r.Patches+1, err)
	}
	r.Patches++
	return nil
}

// cut returns a copy of the tokens of the patch that count, and sets Stop where the text ends among them.
func (t *Text) cut() []int32 {
	r := &t.result
	for i, id := range t.patch {
		if id == t.g.shape.EOS || id == t.g.shape.BOS { // the training text has BOS between documents, and no EOS
			r.Stop = StopEnd
			return slices.Clone(t.patch[:i])
		}
		if t.options.MaxTokens > 0 && t.made+i+1 == t.options.MaxTokens {
			r.Stop = StopMaxTokens
			return slices.Clone(t.patch[:i+1])
		}
	}
	return slices.Clone(t.patch)
}
