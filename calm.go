// Package calm runs Continuous Autoregressive Language Models (CALM, arXiv 2510.27688): language models that predict
// the next vector, a patch of K tokens at a time, instead of the next token.
//
// Open opens a run directory that `calm train` or `calm quickstart` made; Generate writes with it:
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
// Training and measuring have packages of their own: run, train, eval.
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

// Model is an opened run. Its methods may be called from several goroutines, and from within the loops over what it
// writes: they take turns, and nothing is held while the caller's code runs. A call that waits for its turn ends with its
// context.
type Model struct {
	run *run.Model
	eng *cpu.Engine

	turn      chan struct{} // has one element while somebody computes: the engine runs one program at a time
	closed    chan struct{}
	closeOnce sync.Once

	checker *generate.Generator // of all texts' prompts and options; it never writes. nil for an autoencoder
	mu      sync.Mutex          // of idle
	idle    []*generate.Generator
	coder   *autoencoder.Coder // under turn; nil until it is needed
}

// Errors of a Model, beside [*InputError], [*BudgetError] and [*UsageError].
var (
	// ErrClosed is returned by every method of a model that was closed.
	ErrClosed = errors.New("the model is closed")
	// ErrKind is returned when this kind of run lacks the method: an autoencoder cannot write, the token-level baseline
	// has no latent vectors.
	ErrKind = errors.New("not possible with this kind of run")
	// ErrNoTokenizer is returned for text where the run was imported without a tokenizer. Ids still work.
	ErrNoTokenizer = errors.New("the run was imported without a tokenizer: import it again with one")
)

// UsageError says that a run cannot be opened or used as asked, and what to do.
type UsageError = run.UsageError

// OpenOption changes how a run is opened.
type OpenOption func(*openOptions)

type openOptions struct {
	cpu.Options
	set []string
}

// Threads sets the number of threads to compute on, 1 or more; all processors without it.
func Threads(n int) OpenOption { return func(o *openOptions) { o.Threads = n } }

// DType is a number format of weight matrices in memory.
type DType = run.DType

// Number formats for Weights.
const (
	Float32  = run.Float32  // as trained
	BFloat16 = run.BFloat16 // half the memory to hold and to read; what is computed stays float32
)

// Weights sets the number format in which weight matrices are held; Float32 without it.
func Weights(d DType) OpenOption { return Set("dtype=" + string(d)) }

// SamplingSteps sets the number of steps in which a diffusion or a flow head refines a sample: more are more exact and
// take longer. The energy head takes one step and refuses the option.
func SamplingSteps(n int) OpenOption { return Set(fmt.Sprintf("sampling_steps=%d", n)) }

// Solver sets how a flow head integrates: "midpoint" or "euler". Other heads refuse the option.
func Solver(name string) OpenOption { return Set("solver=" + name) }

// Set is the untyped form of Weights, SamplingSteps and Solver, for heads that have other keys: assignments such as
// "sampling_steps=4"; see run.Open.
func Set(assignments ...string) OpenOption {
	return func(o *openOptions) { o.set = append(o.set, assignments...) }
}

// Open opens the run in dir. Its weights stay in their file, mapped into memory, where they have the format asked for.
// What is wrong with the run or the options is a *UsageError or a *config.Error. Close the model.
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

// New makes a Model of a run's model that is in memory, such as one that was just trained (run.Training.Model): it need
// not be opened again. It computes on that many threads of its own, 0 for all processors. The Model takes m over: Close
// closes it. While m is still being trained, nothing of the Model may be used.
func New(m *run.Model, threads int) (*Model, error) {
	return newModel(m, cpu.Options{Threads: threads})
}

func newModel(r *run.Model, o cpu.Options) (*Model, error) {
	m := &Model{run: r, eng: cpu.New(o), turn: make(chan struct{}, 1), closed: make(chan struct{})}
	if !r.Writes() {
		return m, nil
	}
	var err error
	if m.checker, err = m.newGenerator(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close stops the model's threads and gives its memory back. It waits for what is being computed; every call that comes
// later, or waits for its turn, returns ErrClosed. Closing again does nothing.
func (m *Model) Close() error {
	var err error
	m.closeOnce.Do(func() {
		close(m.closed)
		m.turn <- struct{}{}
		defer m.leave()
		m.eng.Close()
		err = m.run.Close()
		m.coder = nil
		m.mu.Lock()
		defer m.mu.Unlock()
		m.idle = nil
	})
	return err
}

// enter waits for the model's turn. Without an error the caller has to leave.
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

// open reports whether the model was closed or ctx has ended.
func (m *Model) open(ctx context.Context) error {
	select {
	case <-m.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func (m *Model) leave() { <-m.turn }

// Tokenizer returns the run's tokenizer as it reads prompts (an imported run's takes the literals of special tokens as
// these tokens), or nil where it was imported without one. It may be used after Close.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.run.TextTokenizer() }

// Evaluate measures the run; see run.Evaluation. Others may take their turns between the batches of a measurement, and in
// its Progress function.
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

// Baselines scores models that know little on the positions where Evaluate measures a language model: the unigram of the
// training text, and one that knows nothing.
func (m *Model) Baselines(ctx context.Context, o eval.Options) (eval.BaselineResult, error) {
	if err := m.open(ctx); err != nil {
		return eval.BaselineResult{}, err
	}
	return m.run.Baselines(ctx, o)
}
