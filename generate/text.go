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
// beginning of a stop text. A token that is partly in a stop text is held back.
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
	context []int32 // whole patches that the model attends to, the patch written last included
	unread  []int32 // the end of context that the source has not read yet
	window  int     // patches that the context can have, the one to write included
	begun   bool    // the source has begun to read the context
	limit   int     // tokens to write at most; 0: none
	made    int     // tokens that count, those held back included
	held    *held
	started time.Time
	err     error // that ended the text, still to be returned
	result  Result
}

// Text begins a text after a prompt of ids, without BOS. It computes nothing yet. It returns the error of
// Check. It ends the generator's previous text.
func (g *Generator) Text(prompt []int32, o Options) (*Text, error) {
	if err := g.Check(prompt, o); err != nil {
		return nil, err
	}
	o.StopTexts = slices.Clone(o.StopTexts)
	dropped := g.Dropped(len(prompt), o)
	t := &Text{g: g, options: o, context: g.aligned(prompt[dropped:], o.Tail), window: g.patches(o), limit: o.MaxTokens,
		held: newHeld(g.tok, o.StopTexts, prompt), started: time.Now(),
		result: Result{PromptTokens: len(prompt), PromptDropped: dropped, Context: g.patches(o) * g.shape.PatchSize}}
	t.unread = t.context
	if t.limit == 0 && o.ContextFull != StopWhenFull {
		t.limit = g.context(o)
	}
	return t, nil
}

// Result says how the text went, or goes.
func (t *Text) Result() Result { return t.result }

// Chunks writes the text to its end. An error is the last round of the loop; what came before it stands. Leaving the loop
// ends the text. A text that has ended has no further chunks.
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

// readAtOnce is the number of patches that are read between two looks at the context: what a session reads in one run.
const readAtOnce = 256

// read reads what the source has not read of the context.
func (t *Text) read(ctx context.Context) error {
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
			return err
		}
		t.unread = t.unread[n:]
	}
	return nil
}

// full reports whether the context has no room for another patch.
func (t *Text) full() bool { return len(t.context) == t.window*t.g.shape.PatchSize }

// slide makes a full context one of BOS and its newest tokens, so many that both fill half of it. The source has to read
// it from the beginning. The patches stay where they were on their grid: BOS replaces the first token of one.
func (t *Text) slide() {
	half, start := t.window/2*t.g.shape.PatchSize, t.g.start()
	newest := t.context[len(t.context)-(half-len(start)):]
	copy(t.context[copy(t.context, start):], newest)
	t.context = t.context[:half]
	t.unread, t.begun = t.context, false
	t.result.Slides++
}

// write writes a patch. With an error it returns what was held back.
func (t *Text) write(ctx context.Context) (Chunk, error) {
	r := &t.result
	patch, err := t.step(ctx)
	if err != nil {
		chunk := t.held.flush()
		r.Tokens += len(chunk.Tokens)
		return chunk, err
	}
	tokens := t.cut(patch)
	t.made += len(tokens)
	if r.Stop == "" && t.full() && t.options.ContextFull == StopWhenFull {
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

// step reads what is unread, and writes another patch, which it returns in the memory of the context.
func (t *Text) step(ctx context.Context) ([]int32, error) {
	r, k := &t.result, t.g.shape.PatchSize
	if t.full() {
		t.slide()
	}
	err := t.read(ctx)
	if err == nil {
		end := len(t.context)
		t.context = append(t.context, make([]int32, k)...)
		t.unread = t.context[end:]
		var draws int
		draws, err = t.g.source.Write(ctx, t.unread, r.Patches)
		r.Draws += draws
	}
	if budget, ok := errors.AsType[*temperature.BudgetError](err); ok {
		return nil, &BudgetError{Patch: r.Patches + 1, Draws: budget.Draws, T: budget.T, err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("generate: patch %d: %w", r.Patches+1, err)
	}
	r.Patches++
	return t.unread, nil
}

// cut returns a copy of the tokens of a patch that count, and sets Stop where the text ends among them.
func (t *Text) cut(patch []int32) []int32 {
	for i, id := range patch {
		if id == t.g.shape.EOS || id == t.g.shape.BOS { // the training text has BOS between documents, and no EOS
			t.result.Stop = StopEnd
			return slices.Clone(patch[:i])
		}
		if t.made+i+1 == t.limit {
			t.result.Stop = StopMaxTokens
			return slices.Clone(patch[:i+1])
		}
	}
	return slices.Clone(patch)
}
