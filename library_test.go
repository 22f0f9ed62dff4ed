package calm_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// TestClosed checks that every method returns ErrClosed after Close, except Tokenizer, which still works.
func TestClosed(t *testing.T) {
	ae, lm, ar := tiny(t)
	for _, dir := range []string{ae, lm, ar} {
		m, err := calm.Open(dir, calm.Threads(1))
		if err != nil {
			t.Fatal(err)
		}
		if dir != ae {
			if _, err := text(m, "Call", calm.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(m.Close(), m.Close()); err != nil {
			t.Fatal(err)
		}
		calls := map[string]func() error{
			"Evaluate":  func() error { _, err := m.Evaluate(t.Context(), run.Evaluation{}); return err },
			"Baselines": func() error { _, err := m.Baselines(t.Context(), eval.Options{}); return err },
		}
		if dir != ae {
			calls["Generate"] = func() error { _, err := text(m, "Call", calm.Options{}); return err }
			calls["GenerateIDs"] = func() error {
				for _, err := range m.GenerateIDs(t.Context(), []int32{97}, calm.Options{}).Chunks() {
					return err
				}
				return nil
			}
		}
		if dir != ar {
			calls["Encode"] = func() error { _, err := m.Encode("Call"); return err }
			calls["Encode of nothing"] = func() error { _, err := m.Encode(""); return err }
			calls["Decode"] = func() error { _, err := m.Decode([][]float32{make([]float32, 8)}); return err }
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, calm.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		if m.Tokenizer() == nil {
			t.Error("the tokenizer is gone")
		}
	}
}

// TestCloseAmid closes a model while it writes, in the loop over the text and in another goroutine. The text must end with
// ErrClosed.
func TestCloseAmid(t *testing.T) {
	_, lm, _ := tiny(t)
	for name, closing := range map[string]func(*calm.Model){
		"in the loop":          func(m *calm.Model) { m.Close() },
		"in another goroutine": func(m *calm.Model) { var wg sync.WaitGroup; wg.Go(func() { m.Close() }); wg.Wait() },
	} {
		m, err := calm.Open(lm, calm.Threads(1))
		if err != nil {
			t.Fatal(err)
		}
		var last error
		g := m.Generate(t.Context(), "Call", calm.Options{})
		for _, err := range g.Text() {
			if last = err; err == nil {
				closing(m)
			}
		}
		if !errors.Is(last, calm.ErrClosed) || g.Result().Stop != calm.StopError {
			t.Errorf("closed %s: %v, %+v", name, last, g.Result())
		}
	}
}

// TestCloseAmidEvaluation checks that a measurement ends with ErrClosed when its Progress function closes the model.
func TestCloseAmidEvaluation(t *testing.T) {
	ae, lm, ar := tiny(t)
	for _, dir := range []string{ae, lm, ar} {
		m, err := calm.Open(dir, calm.Threads(1))
		if err != nil {
			t.Fatal(err)
		}
		o := run.Evaluation{Options: eval.Options{Rows: 1, MaxBlocks: 3, Progress: func(int, int) { m.Close() }}}
		if _, err := m.Evaluate(t.Context(), o); !errors.Is(err, calm.ErrClosed) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestWithinLoops calls the methods inside a loop over a text, and in a measurement's Progress function. They must not hang,
// and must not change the text or the measurement.
func TestWithinLoops(t *testing.T) {
	_, lm, _ := tiny(t)
	m := open(t, lm)
	want, err := text(m, "Call", calm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := func() {
		if _, err := m.Encode("Call me"); err != nil {
			t.Error(err)
		}
		if _, err := m.Decode([][]float32{make([]float32, 8)}); err != nil {
			t.Error(err)
		}
		if _, err := text(m, "me", calm.Options{MaxTokens: 4, Seed: 3}); err != nil {
			t.Error(err)
		}
	}
	var got strings.Builder
	for piece, err := range m.Generate(t.Context(), "Call", calm.Options{}).Text() {
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(piece)
		all()
		if _, err := m.Evaluate(t.Context(), run.Evaluation{Options: eval.Options{MaxBlocks: 1}}); err != nil {
			t.Error(err)
		}
	}
	if got.String() != want {
		t.Errorf("%q, without other calls %q", &got, want)
	}
	calls := 0
	o := run.Evaluation{Options: eval.Options{Rows: 1, MaxBlocks: 3}}
	plain, err := m.Evaluate(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Progress = func(int, int) { calls++; all() }
	r, err := m.Evaluate(t.Context(), o)
	if err != nil || calls != 3 || !sameScores(r, plain) {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// TestWaiting checks that a call that waits for its turn returns when its context ends, and that wrong options are refused
// without waiting.
func TestWaiting(t *testing.T) {
	_, lm, _ := tiny(t)
	m := open(t, lm)
	busy, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	m.Hold(busy, release) // another call computes until release
	<-busy
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func() error{
		"Generate": func() error {
			for _, err := range m.Generate(ctx, "Call", calm.Options{}).Text() {
				return err
			}
			return nil
		},
		"Evaluate": func() error { _, err := m.Evaluate(ctx, run.Evaluation{}); return err },
	} {
		go func() { done <- call() }()
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]calm.Options{
		"temperature": {Temperature: 2}, "exact at 0": {Temperature: calm.Greedy, Sampler: calm.Exact}, "sampler": {Sampler: "greedy"}, "draws": {Draws: -1}, "max tokens": {MaxTokens: -1},
	} {
		for _, err := range m.Generate(t.Context(), "Call", o).Text() {
			if _, input := errors.AsType[*calm.InputError](err); !input {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, err := range m.Generate(t.Context(), strings.Repeat("long", 30), calm.Options{ContextFull: calm.StopWhenFull}).Text() {
		if _, input := errors.AsType[*calm.InputError](err); !input {
			t.Errorf("prompt: %v", err)
		}
	}
	close(release)
}

// TestTogether checks that texts that are generated at the same time are what they are alone, with every number format, while
// other calls compute and some texts are cancelled.
func TestTogether(t *testing.T) {
	_, lm, ar := tiny(t)
	const readers = 20
	for _, dir := range []string{lm, ar} {
		for _, weights := range []calm.DType{calm.Float32, calm.BFloat16, calm.Int8} {
			m, err := calm.Open(dir, calm.Threads(2), calm.Weights(weights))
			if err != nil {
				t.Fatal(err)
			}
			options := func(i int) calm.Options {
				return calm.Options{Seed: uint64(i), MaxTokens: 8 + 5*i, Temperature: []float64{1, .5, .7}[i%3]}
			}
			var want [readers]string
			for i := range want {
				if want[i], err = text(m, strings.Repeat("Call ", i), options(i)); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			for i := range want {
				wg.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var got strings.Builder
					for piece, err := range m.Generate(ctx, strings.Repeat("Call ", i), options(i)).Text() {
						if err != nil && (i%4 != 3 || !errors.Is(err, context.Canceled)) {
							t.Error(err)
						}
						if got.WriteString(piece); i%4 == 3 && got.Len() > 4 {
							cancel()
						}
					}
					if i%4 == 3 && !strings.HasPrefix(want[i], got.String()) || i%4 != 3 && got.String() != want[i] {
						t.Errorf("%s, %s: %q, alone %q", filepath.Base(dir), weights, &got, want[i])
					}
				})
			}
			if _, err := m.Evaluate(t.Context(), run.Evaluation{Options: eval.Options{MaxBlocks: 1}}); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestKept checks that a model that has written keeps its generator: the next text compiles no programs and allocates no
// context.
func TestKept(t *testing.T) {
	_, lm, ar := tiny(t)
	for _, dir := range []string{lm, ar} {
		m := open(t, dir)
		for _, o := range []calm.Options{{MaxTokens: 16}, {MaxTokens: 16, Seed: 1}} {
			if _, err := text(m, "Call", o); err != nil {
				t.Fatal(err)
			}
		}
		n := testing.AllocsPerRun(10, func() {
			if _, err := text(m, "Call", calm.Options{MaxTokens: 16, Seed: 1}); err != nil {
				t.Fatal(err)
			}
		})
		if n > 100 { // a patch takes a few; compiling takes thousands
			t.Errorf("%s: %v allocations a text", filepath.Base(dir), n)
		}
	}
}

// TestNew checks that a model made from a finished training writes and measures as the opened run does.
func TestNew(t *testing.T) {
	ae, dir, _ := tiny(t)
	out := filepath.Join(t.TempDir(), "lm")
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	o := run.Options{Kind: run.LM, Out: out, AE: ae, Steps: 3, Data: []string{filepath.Join(filepath.Dir(dir), "song.txt")},
		Set: append([]string{"noise_size=6", "target_samples=4"}, append(tinySizes, tinyLayers...)...)}
	training, err := run.Create(t.Context(), eng, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := training.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := training.Close(); err != nil {
		t.Fatal(err)
	}
	trained, err := calm.New(training.Model, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	opened := open(t, out)
	want, err := text(opened, "Call", calm.Options{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := text(trained, "Call", calm.Options{Seed: 2}); err != nil || got != want {
		t.Errorf("%q, %v; opened: %q", got, err, want)
	}
	a, errA := trained.Evaluate(t.Context(), run.Evaluation{})
	b, errB := opened.Evaluate(t.Context(), run.Evaluation{})
	if errA != nil || errB != nil || !sameScores(a, b) {
		t.Errorf("%+v, %v; opened: %+v, %v", a, errA, b, errB)
	}
}

// sameScores reports whether two measurements of a language model have the same scores.
func sameScores(a, b run.Result) bool {
	x, y := a.Measured.(lm.Measurement), b.Measured.(lm.Measurement)
	return x.Brier == y.Brier && x.Head[0] == y.Head[0]
}
