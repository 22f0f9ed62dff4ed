// Package calm runs Continuous Autoregressive Language Models (CALM, arXiv 2510.27688). Such a language model predicts a
// vector for the next K tokens (a patch) instead of the next token.
//
// Open opens a run directory made by `calm train` or `calm quickstart`. Model.Generate writes text:
//
//	m, err := calm.Open("runs/quickstart")
//	if err != nil { ... }
//	defer m.Close()
//	g := m.Generate(ctx, "Call me", calm.Options{})
//	for text, err := range g.Text() {
//		if err != nil { ... }
//		fmt.Print(text)
//	}
//	fmt.Println(g.Result().Stop)
//
// The packages run, train and eval train and measure models.
package calm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// Model is an opened run. Its methods may be called from several goroutines. Texts that are generated at the same time are
// written together: up to 16 patches, one of each text, take a run that costs little more than one for a single patch. Each text
// is bit for bit what it is alone. Of other calls one computes at a time, in turn with the patches. No lock is held while the
// caller's code runs, so methods may also be called inside a loop over generated text. A call that takes a context stops waiting
// when the context ends.
type Model struct {
	run *run.Model
	eng *cpu.Engine

	turn      turn          // of the engine, which runs one program at a time
	closed    chan struct{} // closed by Close
	closeOnce sync.Once

	generator *generate.Generator // nil for an autoencoder
	coder     *autoencoder.Coder  // guarded by turn; nil until it is needed
}

// turn is a lock that can be waited for together with other channels: it has one element while it is held. Whoever waits first
// gets it first.
type turn chan struct{}

// Lock implements sync.Locker.
func (t turn) Lock() { t <- struct{}{} }

// Unlock implements sync.Locker.
func (t turn) Unlock() { <-t }

// Errors of a Model. Other errors are [*InputError], [*BudgetError] and [*UsageError].
var (
	// ErrClosed is returned by the methods of a closed model.
	ErrClosed = run.ErrClosed
	// ErrKind is returned when this kind of run lacks the method: an autoencoder cannot write, and the token-level
	// baseline has no latent vectors.
	ErrKind = errors.New("not possible with this kind of run")
	// ErrNoTokenizer is returned by methods that take or return text when the run was imported without a tokenizer.
	// GenerateIDs works without one.
	ErrNoTokenizer = errors.New("the run was imported without a tokenizer: import it again with one")
)

// UsageError says why a run cannot be opened or used in this way, and what to do.
type UsageError = run.UsageError

// OpenOption changes how a run is opened.
type OpenOption func(*openOptions)

type openOptions struct {
	cpu.Options
	set []string
}

// Threads sets the number of threads that compute. 0, the default, is one for each processor; less is a *UsageError.
func Threads(n int) OpenOption { return func(o *openOptions) { o.Threads = n } }

// DType is the number format of weight matrices in memory.
type DType = run.DType

// Number formats for Weights.
const (
	Float32  = run.Float32  // the format of training
	BFloat16 = run.BFloat16 // half the memory, and half of it to read; computation stays in float32
	Int8     = run.Int8     // a quarter, likewise; less exact (docs/performance.md)
)

// Weights sets the number format of weight matrices in memory. The default is Float32.
func Weights(d DType) OpenOption { return Set("dtype=" + string(d)) }

// SamplingSteps sets the number of steps in which a diffusion or flow head makes a sample, 1 or more. More steps are more
// exact and take longer. Open returns an error for a run with an energy head, which always takes one step.
func SamplingSteps(n int) OpenOption { return Set(fmt.Sprintf("sampling_steps=%d", n)) }

// Solver sets how a flow head integrates: "midpoint" or "euler". Open returns an error for a run with another head.
func Solver(name string) OpenOption { return Set("solver=" + name) }

// Set sets keys by assignments such as "sampling_steps=4", as run.Open takes them. It is the untyped form of Weights,
// SamplingSteps and Solver, and also works for heads with other keys.
func Set(assignments ...string) OpenOption {
	return func(o *openOptions) { o.set = append(o.set, assignments...) }
}

// Open opens the run in the directory dir. Weights that the file holds in the format of the option Weights are mapped into
// memory, not read. Mistakes in the directory or the options are a *UsageError or a *config.Error. The caller must call
// Close.
func Open(dir string, options ...OpenOption) (*Model, error) {
	var o openOptions
	for _, option := range options {
		option(&o)
	}
	m, err := run.Open(dir, o.set...)
	if err != nil {
		return nil, err
	}
	return newModel(m, o.Options)
}

// New makes a Model from a run's model in memory, such as that of a finished training (run.Training.Model), without opening
// the run again. It computes on its own threads, one for each processor if threads is 0. The Model owns m from now on: Close
// closes it. The Model must not be used while m is still being trained.
func New(m *run.Model, threads int) (*Model, error) {
	return newModel(m, cpu.Options{Threads: threads})
}

func newModel(r *run.Model, o cpu.Options) (*Model, error) {
	switch {
	case r.Closed():
		return nil, ErrClosed
	case o.Threads < 0:
		return nil, errors.Join(&UsageError{Err: fmt.Errorf("%d threads: want 1 or more, or 0 for one for each processor", o.Threads)}, r.Close())
	}
	m := &Model{run: r, eng: cpu.New(o), turn: make(turn, 1), closed: make(chan struct{})}
	if !r.Writes() {
		return m, nil
	}
	var err error
	if m.generator, err = generate.New(m.eng, r.Network.(generate.Model), r.TextTokenizer(), m.turn); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close waits for what is computing, stops the model's threads and releases its memory. Texts that are being written, calls
// that wait for their turn, and all later calls end with ErrClosed. Closing again does nothing and returns nil.
func (m *Model) Close() error {
	var err error
	m.closeOnce.Do(func() {
		close(m.closed)
		if m.generator != nil {
			m.generator.Close()
		}
		m.turn.Lock()
		defer m.turn.Unlock()
		m.eng.Close()
		err = m.run.Close()
		m.coder = nil
	})
	return err
}

// enter waits for the caller's turn to compute. If it returns nil, the caller must call leave.
func (m *Model) enter(ctx context.Context) error {
	if err := m.open(ctx); err != nil {
		return err
	}
	select {
	case m.turn <- struct{}{}:
	case <-m.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := m.open(ctx); err != nil {
		m.leave()
		return err
	}
	return nil
}

// open returns nil, ErrClosed after Close, or the error of a context that has ended.
func (m *Model) open(ctx context.Context) error {
	select {
	case <-m.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func (m *Model) leave() { m.turn.Unlock() }

// Tokenizer returns the tokenizer that reads prompts, or nil if the run was imported without one. In text for an imported
// run, the literal of a special token, such as "<|end_of_text|>", is that token; in text for other runs it is ordinary text
// (docs/spec.md, section 1). The tokenizer may be used after Close.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.run.TextTokenizer() }

// Evaluate measures the run as run.Evaluation says. Other calls may compute between the batches of the measurement, and
// while o.Progress runs.
func (m *Model) Evaluate(ctx context.Context, o run.Evaluation) (run.Result, error) {
	if err := m.enter(ctx); err != nil {
		return run.Result{}, err
	}
	inside := true
	defer func() {
		if inside {
			m.leave()
		}
	}()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	progress := o.Progress
	o.Progress = func(done, total int) {
		m.leave()
		inside = false
		if progress != nil {
			progress(done, total)
		}
		if err := m.enter(ctx); err != nil {
			stop(err)
			return
		}
		inside = true
	}
	r, err := m.run.Evaluate(ctx, m.eng, o)
	if err != nil && errors.Is(context.Cause(ctx), ErrClosed) {
		err = ErrClosed
	}
	return r, err
}

// Baselines scores two simple models on the positions at which Evaluate measures a language model: the unigram distribution
// of the training text, and the uniform distribution. The scores show what a model gains over them.
func (m *Model) Baselines(ctx context.Context, o eval.Options) (eval.BaselineResult, error) {
	if err := m.open(ctx); err != nil {
		return eval.BaselineResult{}, err
	}
	return m.run.Baselines(ctx, o)
}
