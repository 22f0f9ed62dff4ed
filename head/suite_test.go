package head_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/head/headtest"
	"github.com/calm-go/calm/internal/interchange"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// TestSuite: every kind of head passes the suite, calm's own and one of another module.
func TestSuite(t *testing.T) {
	if err := register(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range head.Kinds() {
		t.Run(kind.Name, func(t *testing.T) { headtest.Run(t, kind.Name) })
	}
}

// TestHeadOfAnotherModule trains a language model with a head that was registered. The number of samples a position
// does not change what is measured. The head is a named part of the model's cost. Export and keys that the head lacks
// are refused.
func TestHeadOfAnotherModule(t *testing.T) {
	if err := register(); err != nil {
		t.Fatal(err)
	}
	e := cpu.New(cpu.Options{Threads: 2})
	defer e.Close()
	dir := t.TempDir()
	if err := trainGaussian(e, dir); err != nil {
		t.Fatal(err)
	}
	trained := filepath.Join(dir, "lm")
	m, err := run.Open(trained)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var measured []lm.Measurement
	for _, samples := range []int{2, 8, 200} {
		r, err := m.Evaluate(t.Context(), e, run.Evaluation{Options: eval.Options{Samples: samples}})
		if err != nil {
			t.Fatal(err)
		}
		l := r.Measured.(lm.Measurement)
		if !l.Measurable {
			t.Fatalf("%+v", l)
		}
		measured = append(measured, l)
	}
	best := measured[2]
	for _, r := range measured[:2] {
		if iv, lm := r.BrierLMInterval, float64(best.BrierLM); lm < iv.Lo || lm > iv.Hi {
			t.Errorf("BrierLM %v with %d samples, %v in [%v, %v] with %d", best.BrierLM, best.Samples, r.BrierLM, iv.Lo, iv.Hi, r.Samples)
		}
		for n, iv := range r.BrierInterval {
			if best.Brier[n] < iv.Lo || best.Brier[n] > iv.Hi {
				t.Errorf("Brier-%d %v with %d samples, %v in [%v, %v] with %d", n+1, best.Brier[n], best.Samples, r.Brier[n], iv.Lo, iv.Hi, r.Samples)
			}
		}
	}
	cost, err := m.Cost(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]run.Amount{cost.Parameters, cost.Token} {
		heads := 0.
		for _, part := range list {
			if part.Name == "head" {
				heads += part.N
			}
		}
		if heads == 0 {
			t.Errorf("no part named head: %+v", list)
		}
	}
	out := filepath.Join(dir, "exported")
	if _, err := interchange.Export(t.Context(), trained, out, ""); err == nil || !strings.Contains(err.Error(), "its gaussian head cannot be exported because the reference has no Gaussian head") {
		t.Errorf("export: %v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a refused export left something: %v", err)
	}
	if _, err := run.Open(trained, "sampling_steps=5"); err == nil || !strings.Contains(err.Error(), "gaussian head has no") {
		t.Errorf("sampling_steps: %v", err)
	}
}
