// Package generate writes text with a model: calm's language model patch by patch, or the token-level baseline token by
// token.
//
// The context begins with the end of a stored tail, so many tokens as it takes for the prompt to end on the grid of
// patches; then comes BOS, where in training a document began; then the prompt (SPEC section 5). So a prompt of any
// length, none included, is followed by a whole patch.
//
// Text follows from the model, the prompt, the options and the seed alone: never from the number of threads, nor from
// what was generated before.
package generate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/calm-go/calm/generate/temperature"
	"github.com/calm-go/calm/tokenizer"
)

// Sampler is a way to sample below temperature 1 from a model that can only draw; see package temperature.
type Sampler string

const (
	Exact Sampler = "exact" // without bias, at any temperature, with a random number of draws
	Batch Sampler = "batch" // from one pool of draws, at 1/n, biased towards temperature 1
)

// Options say how to write. Start from Defaults.
type Options struct {
	Temperature float64 // in (0, 1]
	Sampler     Sampler
	// Draws is how many draws a patch may take with the exact sampler, and how many the batch sampler takes; 0 for
	// temperature.DefaultBudget or temperature.DefaultPool. At temperature 1 a patch takes one.
	Draws     int
	Seed      uint64
	MaxTokens int // tokens to write at most; 0 for as many as the context holds
	// Context is the number of tokens the model was trained on at a time, the block size: prompt and text together
	// cannot be longer. 0 for the most that the model's configuration allows.
	Context int
	// Tail is the end of a text that stood in front of another in training. Its last tokens fill up the first patch.
	// Where it is too short, newlines stand before it.
	Tail []int32
}

// Defaults are temperature 1, the exact sampler below, and seed 1.
func Defaults() Options { return Options{Temperature: 1, Sampler: Exact, Seed: 1} }

// InputError says that the caller asked for something that cannot be done: a prompt too long, a temperature out of
// range. (A patch that took too many draws is a *BudgetError instead.)
type InputError struct{ Err error }

// Error says what cannot be done, and why.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the reason, such as a *temperature.RangeError.
func (e *InputError) Unwrap() error { return e.Err }

func inputError(format string, args ...any) error {
	return &InputError{fmt.Errorf(format, args...)}
}

// BudgetError says that a patch was not accepted within the budget of draws. What was written before it stands.
type BudgetError struct {
	Patch int // the number of the patch among the generated ones, from 1
	Draws int
	T     float64
	err   error
}

// Error says at which patch, after how many draws, and what to do.
func (e *BudgetError) Error() string { return fmt.Sprintf("patch %d: %v", e.Patch, e.err) }

// Unwrap returns the *temperature.BudgetError.
func (e *BudgetError) Unwrap() error { return e.err }

// Stop is why a text ended.
type Stop string

const (
	StopEnd         Stop = "end of text"  // the model wrote EOS or BOS, which are not part of the text
	StopMaxTokens   Stop = "max tokens"   // Options.MaxTokens are written
	StopContext     Stop = "context full" // the model was not trained to go on
	StopInterrupted Stop = "interrupted"  // the context was cancelled, or the caller left the loop
	StopError       Stop = "error"        // of the loop's last round
)

// Chunk is a piece of text as it comes: the tokens of a patch, or of the part that counts, and the text that is certain
// by now. A character that is not complete is held back until its other bytes come; so the text of a chunk may lag
// behind its tokens, and a last chunk may have text only.
type Chunk struct {
	Tokens []int32 // the caller's to keep
	Text   string
}

// Result says what a generation did.
type Result struct {
	Stop         Stop    `json:"stop"`
	PromptTokens int     `json:"prompt_tokens"` // without BOS and what stands in front of it
	Tokens       int     `json:"tokens"`        // written, without the one that ended the text
	Patches      int     `json:"patches"`       // made, the last one included even if it was cut; tokens for the baseline
	Draws        int     `json:"draws"`         // of all patches, those that the sampler looked at
	Seconds      float64 `json:"seconds"`       // prompt included
	Context      int     `json:"context"`       // tokens that prompt and text could have together
}

// Message is a sentence for whoever reads the text, where it ended for a reason that its last words do not show; else "".
func (r Result) Message() string {
	switch r.Stop {
	case StopContext:
		return fmt.Sprintf("the text ends here because prompt and text fill the %d tokens that the model was trained on at a time", r.Context)
	case StopMaxTokens:
		return fmt.Sprintf("the text ends here because %d tokens were asked for", r.Tokens)
	}
	return ""
}

// source is a model with the context it has read so far.
type source interface {
	// reset forgets the context.
	reset()
	// read appends whole patches to the context.
	read(ids []int32) error
	// write puts the next patch, number step of the generation, into dst [K] without reading it, and returns how many
	// draws it took. It ends with ctx between draws.
	write(ctx context.Context, dst []int32, step int) (draws int, err error)
}

// Generator writes texts, one at a time. It is not safe for concurrent use, nor beside another program of its engine.
type Generator struct {
	source   source
	tok      *tokenizer.Tokenizer
	options  Options
	patch    int // K
	vocab    int // V
	bos, eos int32
	patches  int     // that prompt and text can have together
	front    []int32 // K-1 tokens to stand before BOS
	result   Result
}

// MaxDraws bounds the draws of a patch, and with them the memory that the batch sampler takes.
const MaxDraws = 1_000_000

// newGenerator checks what both kinds of models have in common; source is still to be set.
func newGenerator(tok *tokenizer.Tokenizer, o Options, patch, vocab, bos, eos, longest int) (*Generator, error) {
	if tok != nil && tok.VocabSize() > vocab {
		return nil, inputError("generate: the tokenizer has %d ids and the model %d: they do not belong together", tok.VocabSize(), vocab)
	}
	if o.MaxTokens < 0 || o.Context < 0 {
		return nil, inputError("generate: max tokens %d, context %d: want 0 or more", o.MaxTokens, o.Context)
	}
	if o.Draws < 0 || o.Draws > MaxDraws {
		return nil, inputError("generate: %d draws: want 0 to %d", o.Draws, MaxDraws)
	}
	if o.Sampler != Exact && o.Sampler != Batch {
		return nil, inputError("generate: sampler %q: want %q or %q", o.Sampler, Exact, Batch)
	}
	if o.Context == 0 {
		o.Context = longest * patch
	}
	g := &Generator{tok: tok, options: o, patch: patch, vocab: vocab, bos: int32(bos), eos: int32(eos), patches: o.Context / patch}
	if g.patches < 2 {
		return nil, inputError("generate: a context of %d tokens: want two patches of %d or more", o.Context, patch)
	}
	for _, id := range o.Tail {
		if id < 0 || int(id) >= vocab {
			return nil, inputError("generate: the tail has the token %d, the model has 0 to %d", id, vocab-1)
		}
	}
	filler := []int32{g.bos} // as after empty documents
	if tok != nil {
		filler = tok.Encode("\n")
	}
	g.front = front(filler, o.Tail, patch-1)
	return g, nil
}

// front returns the last n tokens of a tail, after as much filler as it lacks.
func front(filler, tail []int32, n int) []int32 {
	var ids []int32
	for len(ids)+len(tail) < n {
		ids = append(ids, filler...)
	}
	ids = append(ids, tail...)
	return ids[len(ids)-n:]
}

// aligned returns what the model reads for a prompt: whole patches that end with it.
func (g *Generator) aligned(prompt []int32) []int32 {
	missing := (g.patch - (1+len(prompt))%g.patch) % g.patch
	ids := make([]int32, 0, missing+1+len(prompt))
	ids = append(ids, g.front[len(g.front)-missing:]...)
	ids = append(ids, g.bos)
	return append(ids, prompt...)
}

// Generate writes what follows a prompt, patch by patch as it comes. Literals of special tokens in the prompt are ordinary
// text, unless the tokenizer takes them (Tokenizer.TakingLiterals). An error is the last round of the loop; what came before
// it stands. Afterwards, and in the loop, Result says how it went. The same call gives the same text.
func (g *Generator) Generate(ctx context.Context, prompt string) iter.Seq2[Chunk, error] {
	if g.tok == nil {
		return func(yield func(Chunk, error) bool) {
			yield(Chunk{}, inputError("generate: the model has no tokenizer to read a prompt with: give ids"))
		}
	}
	return g.Continue(ctx, g.tok.Encode(prompt))
}

// Continue is Generate for a prompt of ids, without BOS. Without a tokenizer chunks have no text.
func (g *Generator) Continue(ctx context.Context, prompt []int32) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		start := time.Now()
		g.result = Result{PromptTokens: len(prompt), Context: g.options.Context}
		defer func() { g.result.Seconds = time.Since(start).Seconds() }()
		if err := g.prefill(ctx, prompt); err != nil {
			g.fail(ctx, err, yield)
			return
		}
		w := writer{Generator: g, patch: make([]int32, g.patch), read: len(g.aligned(prompt)) / g.patch}
		if g.tok != nil {
			w.text = g.tok.NewStream()
		}
		for g.result.Stop == "" {
			chunk, err := w.next(ctx)
			g.result.Seconds = time.Since(start).Seconds()
			if (len(chunk.Tokens) > 0 || chunk.Text != "") && !yield(chunk, nil) {
				if g.result.Stop == "" {
					g.result.Stop = StopInterrupted
				}
				return
			}
			if err != nil {
				g.fail(ctx, err, yield)
			}
		}
	}
}

// fail yields an error as the last round.
func (g *Generator) fail(ctx context.Context, err error, yield func(Chunk, error) bool) {
	g.result.Stop = StopError
	if ctx.Err() != nil {
		g.result.Stop = StopInterrupted
	}
	yield(Chunk{}, err)
}

// Result says how the latest generation went, or goes.
func (g *Generator) Result() Result { return g.result }

// readAtOnce is the number of patches of a prompt between two looks at the context: what a session reads in one run.
const readAtOnce = 256

// prefill reads a prompt.
func (g *Generator) prefill(ctx context.Context, prompt []int32) error {
	ids := g.aligned(prompt)
	if len(ids)/g.patch >= g.patches {
		// BOS and a patch to write need room too.
		most := (g.patches-1)*g.patch - 1
		return inputError("the prompt has %d tokens, and with a context of %d tokens it can have %d: shorten it",
			len(prompt), g.options.Context, most)
	}
	for _, id := range prompt {
		if id < 0 || int(id) >= g.vocab {
			return inputError("the prompt has the token %d, the model has 0 to %d", id, g.vocab-1)
		}
	}
	g.source.reset()
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(readAtOnce*g.patch, len(ids))
		if err := g.source.read(ids[:n]); err != nil {
			return fmt.Errorf("generate: the prompt: %w", err)
		}
		ids = ids[n:]
	}
	return nil
}

// writer is the state of one text.
type writer struct {
	*Generator
	text  *tokenizer.Stream // nil without a tokenizer
	patch []int32           // written last [K]
	read  int               // patches that the source has read
}

// next writes a patch. With an error it returns the text that was held back.
func (w *writer) next(ctx context.Context) (Chunk, error) {
	r := &w.result
	err := w.step(ctx)
	if err != nil {
		return Chunk{Text: w.flush(nil)}, err
	}
	tokens := w.cut()
	r.Tokens += len(tokens)
	if r.Stop == "" && w.read+1 == w.patches {
		r.Stop = StopContext
	}
	if w.text == nil {
		return Chunk{Tokens: tokens}, nil
	}
	text := w.text.Append(nil, tokens...)
	if r.Stop != "" {
		return Chunk{Tokens: tokens, Text: w.flush(text)}, nil
	}
	return Chunk{Tokens: tokens, Text: string(text)}, nil
}

// flush returns text with what was held back.
func (w *writer) flush(text []byte) string {
	if w.text == nil {
		return ""
	}
	return string(w.text.Flush(text))
}

// step reads the patch written before, if there is one, and writes another.
func (w *writer) step(ctx context.Context) error {
	r := &w.result
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.Patches > 0 {
		if err := w.source.read(w.patch); err != nil {
			return fmt.Errorf("generate: patch %d: %w", r.Patches, err)
		}
		w.read++
	}
	draws, err := w.source.write(ctx, w.patch, r.Patches)
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
func (w *writer) cut() []int32 {
	r := &w.result
	for i, id := range w.patch {
		if id == w.eos || id == w.bos { // the training text has BOS between documents, and no EOS
			r.Stop = StopEnd
			return slices.Clone(w.patch[:i])
		}
		if w.options.MaxTokens > 0 && r.Tokens+i+1 == w.options.MaxTokens {
			r.Stop = StopMaxTokens
			return slices.Clone(w.patch[:i+1])
		}
	}
	return slices.Clone(w.patch)
}
