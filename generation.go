package calm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/calm-go/calm/generate"
)

// What a text is asked for and what comes of it.
type (
	// Options say how to write. Zero values are defaults: temperature 1, seed 0, at most as many tokens as the context has.
	// Context and Tail are the run's own unless they are set.
	Options = generate.Options
	// Sampler is a way to sample below temperature 1.
	Sampler = generate.Sampler
	// ContextFull is what happens to a text that has filled the context.
	ContextFull = generate.ContextFull
	// Chunk is a piece of text as it becomes certain, with its tokens.
	Chunk = generate.Chunk
	// Result says how a text was written.
	Result = generate.Result
	// Stop is why a text ended.
	Stop = generate.Stop
	// InputError says that a text was asked for which cannot be written, such as one at a temperature out of range.
	InputError = generate.InputError
	// BudgetError says that the exact sampler accepted no patch within its number of draws.
	BudgetError = generate.BudgetError
)

// Samplers.
const (
	Prefix = generate.Prefix // the default: the temperature token by token
	Batch  = generate.Batch  // of whole patches
	Exact  = generate.Exact  // of whole patches, without bias, with a random number of draws
)

// What happens to a text that has filled the context.
const (
	Slide        = generate.Slide        // the default: the newest half is read again, and the text goes on
	StopWhenFull = generate.StopWhenFull // the text ends, and a prompt that is too long is refused
)

// Greedy is the temperature 0 of Options, whose zero value is temperature 1.
const Greedy = generate.Greedy

// Reasons why a text ends.
const (
	StopEnd         = generate.StopEnd         // the model wrote the end of the text
	StopText        = generate.StopText        // the text came to one of Options.StopTexts
	StopMaxTokens   = generate.StopMaxTokens   // as many tokens are written as may be
	StopContext     = generate.StopContext     // prompt and text fill the context, with StopWhenFull
	StopInterrupted = generate.StopInterrupted // the context was cancelled, or the caller left the loop
	StopError       = generate.StopError       // an error, which the loop yields
)

// ErrRead is returned by a second loop over a Generation.
var ErrRead = errors.New("the text has been read: a Generation is for one loop; Generate with the same options writes the same text again")

// Generation is a text that is written while it is read, by one loop over Text or over Chunks.
type Generation struct {
	model   *Model
	ctx     context.Context
	prompt  []int32
	options Options
	err     error // before it began
	read    bool  // a loop has begun

	text   *generate.Text // nil before the first round
	result Result
}

// Generate writes what follows the prompt. The text comes from the loop over Generation.Text; nothing is computed before
// it. The same model, prompt and options give the same text. Prompt and text may be longer than the blocks that the model
// was trained on, see Options.ContextFull. What is wrong with prompt or options is an *InputError, of Generation.Err and as
// the loop's first round.
func (m *Model) Generate(ctx context.Context, prompt string, o Options) *Generation {
	if m.generator == nil || m.run.Tokenizer == nil {
		return m.generation(ctx, nil, o, m.cannotRead())
	}
	ids, err := m.generator.Encode(prompt)
	return m.generation(ctx, ids, o, err)
}

// cannotRead says why the model takes no prompt of text.
func (m *Model) cannotRead() error {
	if m.generator == nil {
		return fmt.Errorf("generate with %s: %w: it is an autoencoder, which packs and unpacks patches", m.run.Dir, ErrKind)
	}
	return ErrNoTokenizer
}

// GenerateIDs is Generate for a prompt of token ids, without BOS. It needs no tokenizer; without one, chunks have no text.
func (m *Model) GenerateIDs(ctx context.Context, prompt []int32, o Options) *Generation {
	if m.generator == nil {
		return m.generation(ctx, nil, o, m.cannotRead())
	}
	return m.generation(ctx, prompt, o, nil)
}

func (m *Model) generation(ctx context.Context, prompt []int32, o Options, err error) *Generation {
	if o.Context == 0 {
		o.Context = m.run.BlockSize
	}
	if o.Tail == nil {
		for _, id := range m.run.Tail {
			o.Tail = append(o.Tail, int32(id))
		}
	}
	if err == nil {
		err = m.generator.Check(prompt, o)
	}
	g := &Generation{model: m, ctx: ctx, prompt: prompt, options: o, err: err, result: Result{PromptTokens: len(prompt), Context: o.Context}}
	if err == nil {
		g.result.PromptDropped = m.generator.Dropped(len(prompt), o)
	}
	return g
}

// Err returns what is wrong with prompt or options before anything is written, such as an *InputError; nil if nothing is.
// It is the error of the loop's first round too.
func (g *Generation) Err() error { return g.err }

// Text returns the text piece by piece, each as it becomes certain. The second value of the last round may be an error;
// what came before it stands. The model may be used within the loop. A second loop has the error ErrRead.
func (g *Generation) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for chunk, err := range g.Chunks() {
			if (chunk.Text != "" || err != nil) && !yield(chunk.Text, err) {
				return
			}
		}
	}
}

// Chunks is Text with the tokens of each piece, which are the caller's to keep.
func (g *Generation) Chunks() iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		if g.read {
			yield(Chunk{}, ErrRead)
			return
		}
		g.read = true
		defer g.end()
		for {
			chunk, err := g.next()
			if err == io.EOF || !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}

// Result says how the text went, or goes while it is written.
func (g *Generation) Result() Result { return g.result }

// next returns the next chunk.
func (g *Generation) next() (Chunk, error) {
	if g.text == nil {
		if err := g.begin(); err != nil {
			g.result.Stop = StopError
			if g.ctx.Err() != nil {
				g.result.Stop = StopInterrupted
			}
			return Chunk{}, err
		}
	}
	chunk, err := g.text.Next(g.ctx)
	g.result = g.text.Result()
	return chunk, err
}

func (g *Generation) begin() error {
	if g.err != nil {
		return g.err
	}
	if err := g.model.open(g.ctx); err != nil {
		return err
	}
	var err error
	g.text, err = g.model.generator.Text(g.prompt, g.options)
	return err
}

// end ends the text where the loop was left.
func (g *Generation) end() {
	if g.text != nil {
		g.text.Leave()
		g.result = g.text.Result()
	}
}
