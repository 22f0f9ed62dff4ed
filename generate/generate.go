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
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
)

// Model is a model that can write. Autoencoders cannot write.
type Model interface {
	// Shape returns what a generator has to know of the model.
	Shape() Shape
	// NewSource returns the model with empty contexts. It computes nothing yet.
	NewSource(e *cpu.Engine) Source
}

// Shape is what a generator has to know of a model.
type Shape struct {
	PatchSize  int   // K, tokens a patch
	VocabSize  int   // V
	BOS, EOS   int32 // ids that begin and end a text
	MaxPatches int   // of a context
}

// Generator writes texts with one model. It keeps what was compiled for the next text.
//
// Several texts are written together: one run of the model takes a patch of each. Texts join and leave between patches, and a
// prompt is read in pieces between patches of the others. A text is bit for bit what it is alone. At most MaxStreams texts are
// written at once. Others wait until one of these ends, or until its reader is two patches behind: then its context is kept
// aside, and another text takes its place.
//
// A generator is safe for concurrent use. A text is written ahead of its reader by up to two patches, by a goroutine that runs
// only while a reader wants more.
type Generator struct {
	source Source
	shape  Shape
	tok    *tokenizer.Tokenizer // nil: texts are ids
	turn   sync.Locker          // held while the engine computes

	closed chan struct{}

	// Of a round:
	ready   []*stream // that want a patch
	readers []*stream // of these, those whose prompt is not read yet
	reading []*stream // of the others, those whose latest patch is not read yet
	toWrite []*Patch  // of the others

	// Of a run that reads:
	slotsRead []int
	idsRead   []int32

	spent time.Duration // on the patches that were written last

	mu      sync.Mutex
	idle    sync.Cond // no goroutine writes any more
	writing bool      // a goroutine writes
	slots   [MaxStreams]*stream
	waiting []*stream // for a slot, the first to come first
}

// MaxStreams is the number of texts that a generator writes at once: the number of rows that a product with weights takes
// without changing the order of its sums.
const MaxStreams = 16

// New makes a generator of a model's text; of its ids alone if tok is nil. A tokenizer of more tokens than the model has
// is an *InputError. The generator locks turn while the engine computes, for callers that run other programs of the engine; it
// may be nil if there are none. The caller must call Close.
func New(e *cpu.Engine, m Model, tok *tokenizer.Tokenizer, turn sync.Locker) (*Generator, error) {
	shape := m.Shape()
	if tok != nil && tok.VocabSize() > shape.VocabSize {
		return nil, inputError("generate: the tokenizer has %d ids and the model %d: they do not belong together", tok.VocabSize(), shape.VocabSize)
	}
	if turn == nil {
		turn = &sync.Mutex{}
	}
	g := &Generator{source: m.NewSource(e), shape: shape, tok: tok, turn: turn, closed: make(chan struct{})}
	g.idle.L = &g.mu
	return g, nil
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
