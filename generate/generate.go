// Package generate writes text with a model, patch by patch: with calm's language model, or token by token with the
// token-level baseline. It knows a model as a [Model].
//
// The context begins with the end of a stored tail, so many tokens as it takes for the prompt to end on the grid of
// patches; then comes BOS, if in training a document began with it; then the prompt (docs/spec.md, section 5). So a prompt of any
// length, none included, is followed by a whole patch.
//
// A text may be longer than the context. Where the context is full, it becomes BOS and its newest half, which the model
// reads in one pass before it goes on. So no position is beyond those of the context.
//
// A text follows from the model, the prompt, the options and the seed alone: never from the number of threads, nor from
// what was written before.
package generate

import (
	"cmp"
	"context"
	"slices"
	"unicode/utf8"

	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
)

// Model is a model that can write. Autoencoders cannot write.
type Model interface {
	// Shape returns what a generator has to know of the model.
	Shape() Shape
	// NewSource returns the model with an empty context. It computes nothing yet.
	NewSource(e *cpu.Engine) Source
}

// Source is a model that writes, with the context it has read so far: one row of patches of K tokens.
type Source interface {
	// Check reports options that the model cannot meet, as an *InputError: of Temperature, Sampler and Draws. It computes
	// nothing and changes nothing.
	Check(o Options) error
	// Begin forgets the context and prepares to write with options that Check accepts. It is called again where the
	// context is full. Fewer than Shape.MaxPatches patches are read before the next call.
	Begin(o Options)
	// Read appends whole patches to the context.
	Read(ids []int32) error
	// Write puts the next patch, number step of the text from 0, into dst [K] without reading it, and returns how many
	// draws it took. It ends with ctx between draws.
	Write(ctx context.Context, dst []int32, step int) (draws int, err error)
}

// Shape is what a generator has to know of a model.
type Shape struct {
	PatchSize  int   // K, tokens a patch
	VocabSize  int   // V
	BOS, EOS   int32 // ids that begin and end a text
	MaxPatches int   // of a context
}

// Generator writes texts with one model, one text at a time. It keeps what was compiled for the next text. It is not safe
// for concurrent use, and not while another program of its engine runs; Check is.
type Generator struct {
	source Source
	shape  Shape
	tok    *tokenizer.Tokenizer // nil: texts are ids
}

// New makes a generator of a model's text; of its ids alone if tok is nil. A tokenizer of more tokens than the model has
// is an *InputError.
func New(e *cpu.Engine, m Model, tok *tokenizer.Tokenizer) (*Generator, error) {
	shape := m.Shape()
	if tok != nil && tok.VocabSize() > shape.VocabSize {
		return nil, inputError("generate: the tokenizer has %d ids and the model %d: they do not belong together", tok.VocabSize(), shape.VocabSize)
	}
	return &Generator{m.NewSource(e), shape, tok}, nil
}

// Check reports what cannot be done of a text with these options after a prompt of ids, as an *InputError. It computes
// nothing, and may be called at any time.
func (g *Generator) Check(prompt []int32, o Options) error {
	switch {
	case o.MaxTokens < 0:
		return inputError("generate: max tokens %d: want 0 or more", o.MaxTokens)
	case o.Context < 0:
		return inputError("generate: a context of %d tokens: want 0 or more", o.Context)
	case o.Draws < 0 || o.Draws > MaxDraws:
		return inputError("generate: %d draws: want 0 to %d", o.Draws, MaxDraws)
	case o.Sampler != "" && !slices.Contains(Samplers(), o.Sampler):
		return inputError("generate: sampler %q: want %q, %q or %q", o.Sampler, Prefix, Batch, Exact)
	case o.ContextFull != "" && !slices.Contains(ContextFulls(), o.ContextFull):
		return inputError("generate: where the context is full, %q: want %q or %q", o.ContextFull, Slide, StopWhenFull)
	}
	if err := g.checkContext(prompt, o); err != nil {
		return err
	}
	if err := g.checkStopTexts(o.StopTexts); err != nil {
		return err
	}
	for _, id := range o.Tail {
		if id < 0 || int(id) >= g.shape.VocabSize {
			return inputError("generate: the tail has the token %d, the model has 0 to %d", id, g.shape.VocabSize-1)
		}
	}
	for _, id := range prompt {
		if id < 0 || int(id) >= g.shape.VocabSize {
			return inputError("the prompt has the token %d, the model has 0 to %d", id, g.shape.VocabSize-1)
		}
	}
	return g.source.Check(o)
}

// checkContext checks the size of the context, and whether the prompt fits if it must.
func (g *Generator) checkContext(prompt []int32, o Options) error {
	if patches, limit := g.patches(o), g.shape.MaxPatches; patches < 2 || o.Context > limit*g.shape.PatchSize {
		return inputError("generate: a context of %s: want %d tokens (two patches) or more, and at most the model's %d",
			plural.Count(g.context(o), "token"), 2*g.shape.PatchSize, limit*g.shape.PatchSize)
	}
	if n := g.longestPrompt(o); o.ContextFull == StopWhenFull && len(prompt) > n {
		return inputError("the prompt has %d tokens, and with a context of %d tokens that does not slide it can have %d: shorten it",
			len(prompt), g.context(o), n)
	}
	return nil
}

func (g *Generator) checkStopTexts(texts []string) error {
	if g.tok == nil && len(texts) > 0 {
		return inputError("generate: the model has no tokenizer, so what it writes is ids: no stop text can be found in them")
	}
	for _, text := range texts {
		if text == "" || !utf8.ValidString(text) {
			return inputError("generate: the stop text %q: want text in UTF-8, not empty", text)
		}
	}
	return nil
}

// context returns how many tokens the model attends to at most.
func (g *Generator) context(o Options) int {
	return cmp.Or(o.Context, g.shape.MaxPatches*g.shape.PatchSize)
}

// patches returns how many whole patches the model attends to at most, the one that it writes included.
func (g *Generator) patches(o Options) int { return g.context(o) / g.shape.PatchSize }

// longestPrompt returns how many tokens of a prompt fit into the context, with BOS and a patch to write.
func (g *Generator) longestPrompt(o Options) int {
	return (g.patches(o)-1)*g.shape.PatchSize - len(g.start())
}

// start returns what stands before a text. It is BOS, as at the beginning of a document; or EOS, the end of the document
// before, if the post-processor of the tokenizer adds only EOS; or nothing, if it adds nothing.
func (g *Generator) start() []int32 {
	switch {
	case g.tok == nil || g.tok.AddsBOS():
		return []int32{g.shape.BOS}
	case g.tok.AddsEOS():
		return []int32{g.shape.EOS}
	}
	return nil
}

// Dropped returns how many tokens at the beginning of a prompt of that many are not read, because the context has no room
// for them. Check must accept the options.
func (g *Generator) Dropped(prompt int, o Options) int { return max(0, prompt-g.longestPrompt(o)) }

// Encode turns a prompt into ids. Literals of special tokens in it are ordinary text, unless the tokenizer takes them
// (Tokenizer.TakingLiterals). Without a tokenizer it returns an *InputError.
func (g *Generator) Encode(prompt string) ([]int32, error) {
	if g.tok == nil {
		return nil, inputError("generate: the model has no tokenizer to read a prompt with: give ids")
	}
	return g.tok.Encode(prompt), nil
}

// aligned returns what the model reads for a prompt: whole patches that end with it.
func (g *Generator) aligned(prompt, tail []int32) []int32 {
	k, start := g.shape.PatchSize, g.start()
	missing := (k - (len(start)+len(prompt))%k) % k
	if len(start)+len(prompt) == 0 {
		missing = k
	}
	return slices.Concat(g.front(tail, missing), start, prompt)
}

// front returns the last n tokens of a tail, after as many newlines as it lacks; where there is no tokenizer, BOS, as
// after empty documents.
func (g *Generator) front(tail []int32, n int) []int32 {
	filler := []int32{g.shape.BOS}
	if g.tok != nil {
		filler = g.tok.Encode("\n")
	}
	var ids []int32
	for len(ids)+len(tail) < n {
		ids = append(ids, filler...)
	}
	ids = append(ids, tail...)
	return ids[len(ids)-n:]
}
