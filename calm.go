// Package calm runs Continuous Autoregressive Language Models (CALM, arXiv 2510.27688): language models that predict
// the next vector, a patch of K tokens at a time, instead of the next token.
//
// Open opens a run directory that `calm train` or `calm quickstart` made; Generate writes with it:
//
//	m, err := calm.Open("runs/quickstart")
//	if err != nil { ... }
//	defer m.Close()
//	for text, err := range m.Generate(ctx, "Call me", calm.DefaultOptions()) {
//		if err != nil { ... }
//		fmt.Print(text)
//	}
//
// Training and measuring have packages of their own: run, train, eval.
package calm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// Model is an opened run. Its methods may be called from several goroutines; they take turns.
type Model struct {
	run *run.Model
	eng *cpu.Engine
	mu  sync.Mutex // the engine runs one program at a time
}

// Options say how to generate; start from DefaultOptions. Context and Tail are the run's own unless they are set.
type Options = generate.Options

// Result says how a generation went.
type Result = generate.Result

// DefaultOptions are temperature 1, the exact sampler below it, seed 1, and as much text as the context holds.
func DefaultOptions() Options { return generate.Defaults() }

// ErrKind is what a method returns that the run's kind of model has not: an autoencoder cannot write.
var ErrKind = errors.New("not possible with this kind of run")

var errNoTokenizer = errors.New("the run was imported without a tokenizer: import it again with one")

// OpenOption changes how a run is opened.
type OpenOption func(*openOptions)

type openOptions struct {
	cpu.Options
	set []string
}

// Threads sets the number of threads to compute on; all processors without it.
func Threads(n int) OpenOption { return func(o *openOptions) { o.Threads = n } }

// Set changes how weights are held and how a language model's head draws, with assignments such as "dtype=bfloat16",
// "sampling_steps=4" or "solver=euler"; see run.Open.
func Set(assignments ...string) OpenOption {
	return func(o *openOptions) { o.set = append(o.set, assignments...) }
}

// Open opens the run in dir. Its weights stay in their file, mapped into memory, where they have the format asked for.
// Close the model.
func Open(dir string, options ...OpenOption) (*Model, error) {
	var o openOptions
	for _, option := range options {
		option(&o)
	}
	m, err := run.Open(dir, o.set...)
	if err != nil {
		return nil, err
	}
	return &Model{run: m, eng: cpu.New(o.Options)}, nil
}

// Close stops the model's threads and gives its memory back.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.eng.Close()
	return m.run.Close()
}

// Tokenizer returns the run's tokenizer as it reads prompts (an imported run's takes the literals of special tokens as
// these tokens), or nil where it was imported without one.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.run.TextTokenizer() }

// Generate writes what follows the prompt, piece by piece as it becomes certain. The second value of the last round may
// be an error; what came before it stands. A prompt that is too long or options out of range are a
// *generate.InputError, too many draws a *generate.BudgetError. The same call gives the same text.
func (m *Model) Generate(ctx context.Context, prompt string, o Options) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := m.Write(ctx, prompt, o, func(text string) bool { return yield(text, nil) }, nil)
		if err != nil {
			yield("", err)
		}
	}
}

// Write is Generate with callbacks: text is called with each piece and ends the generation by returning false; result,
// if not nil, is filled in at the end.
func (m *Model) Write(ctx context.Context, prompt string, o Options, text func(string) bool, result *Result) error {
	return m.write(o, result, func(g *generate.Generator) iter.Seq2[generate.Chunk, error] {
		return g.Generate(ctx, prompt)
	}, func(c generate.Chunk) bool { return c.Text == "" || text(c.Text) })
}

// WriteIDs is Write for a prompt of token ids, without BOS, and for ids as they come, which the callee may keep. It
// needs no tokenizer.
func (m *Model) WriteIDs(ctx context.Context, prompt []int32, o Options, ids func([]int32) bool, result *Result) error {
	return m.write(o, result, func(g *generate.Generator) iter.Seq2[generate.Chunk, error] {
		return g.Continue(ctx, prompt)
	}, func(c generate.Chunk) bool { return len(c.Tokens) == 0 || ids(c.Tokens) })
}

// write hands out what a generator writes, chunk by chunk, until take returns false.
func (m *Model) write(o Options, result *Result, begin func(*generate.Generator) iter.Seq2[generate.Chunk, error], take func(generate.Chunk) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, err := m.generator(o)
	if err != nil {
		return err
	}
	var failed error
	for chunk, err := range begin(g) {
		if failed = err; err != nil || !take(chunk) {
			break
		}
	}
	if result != nil {
		*result = g.Result()
	}
	return failed
}

func (m *Model) generator(o Options) (*generate.Generator, error) {
	if o.Context == 0 {
		o.Context = m.run.BlockSize
	}
	if o.Tail == nil {
		for _, id := range m.run.Tail {
			o.Tail = append(o.Tail, int32(id))
		}
	}
	switch {
	case m.run.LM != nil:
		return generate.New(m.eng, m.run.LM, m.run.TextTokenizer(), o)
	case m.run.AR != nil:
		return generate.NewAR(m.eng, m.run.AR, m.run.TextTokenizer(), o)
	}
	return nil, fmt.Errorf("generate with %s: %w: it is an autoencoder, which packs and unpacks patches", m.run.Dir, ErrKind)
}

// Evaluate measures the run; see run.Evaluation.
func (m *Model) Evaluate(ctx context.Context, o run.Evaluation) (run.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.run.Evaluate(ctx, m.eng, o)
}

// Encode packs text into latent vectors, the means of the autoencoder's posterior: [patches, latent] (paper section 3).
// The text's tokens are filled up with padding to whole patches. The token-level baseline has no autoencoder: ErrKind.
func (m *Model) Encode(text string) ([][]float32, error) {
	ae, err := m.autoencoder()
	if err != nil || text == "" {
		return nil, err
	}
	if m.run.Tokenizer == nil {
		return nil, errNoTokenizer
	}
	k := ae.Config.PatchSize
	ids := m.run.TextTokenizer().Encode(text)
	for len(ids)%k != 0 {
		ids = append(ids, m.run.Tokenizer.PAD())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := nn.NewGraph()
	in := g.Ints("ids", len(ids)/k, k)
	mean := ae.Encode(g, in).Mean
	g.Output(mean)
	p := m.eng.Compile(g, cpu.Inference)
	copy(p.Ints(in), ids)
	if err := p.Forward(); err != nil {
		return nil, err
	}
	return split(p.Floats(mean), ae.Config.LatentSize), nil
}

// Decode unpacks latent vectors [patches, latent] into text, each vector into the likeliest tokens of its patch.
func (m *Model) Decode(latents [][]float32) (string, error) {
	ae, err := m.autoencoder()
	if err != nil || len(latents) == 0 {
		return "", err
	}
	if m.run.Tokenizer == nil {
		return "", errNoTokenizer
	}
	g := nn.NewGraph()
	in := g.Floats("latents", len(latents), ae.Config.LatentSize)
	ids := ae.Tokens(g, in)
	g.Output(ids)
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.eng.Compile(g, cpu.Inference)
	for i, z := range latents {
		if len(z) != ae.Config.LatentSize {
			return "", fmt.Errorf("decode: latent vector %d has %d numbers, want latent_size = %d", i, len(z), ae.Config.LatentSize)
		}
		copy(p.Floats(in)[i*len(z):], z)
	}
	if err := p.Forward(); err != nil {
		return "", err
	}
	return string(m.run.Tokenizer.AppendDecode(nil, p.Ints(ids))), nil
}

func (m *Model) autoencoder() (*autoencoder.Model, error) {
	switch {
	case m.run.AE != nil:
		return m.run.AE, nil
	case m.run.LM != nil:
		return m.run.LM.Autoencoder, nil
	}
	return nil, fmt.Errorf("latent vectors of %s: %w: the token-level baseline has none", m.run.Dir, ErrKind)
}

// split cuts [n, size] into rows of their own.
func split(flat []float32, size int) [][]float32 {
	var out [][]float32
	for ; len(flat) > 0; flat = flat[size:] {
		out = append(out, append([]float32(nil), flat[:size]...))
	}
	return out
}
