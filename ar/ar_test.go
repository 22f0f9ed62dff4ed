package ar_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// tiny returns a tiny model. Its weights are large, so that every part of it changes the result.
func tiny() *ar.Model {
	c := testkit.TinyAR()
	c.InitializerRange = .2
	m := ar.New(c, nn.NewParams())
	m.Params.Initialize(3)
	testkit.Perturb(m.Params, 4, .2)
	return m
}

func randomIDs(n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(5, 6))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

func TestPresets(t *testing.T) {
	for name, c := range ar.Presets() {
		if err := c.Validate(); err != nil {
			t.Errorf("preset %s: %v", name, err)
		}
	}
}

// TestSizes: docs/spec.md, section 3.4 has 282M for S, section 6 465M for M. Section 6 has 849M for L, but the
// published layer sizes, which give CALM-L exactly, make 847.0M.
func TestSizes(t *testing.T) {
	for name, want := range map[string]float64{"ar-s": 282, "ar-m": 465, "ar-l": 847} {
		m := ar.New(ar.Presets()[name], nn.NewParams())
		if all, trainable := m.Params.Count(); all != trainable || math.Abs(float64(all)/1e6-want) > .5 {
			t.Errorf("%s has %.1fM parameters, %.1fM trainable; want %vM", name, float64(all)/1e6, float64(trainable)/1e6, want)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	c := ar.Default()
	c.RopeTheta, c.VocabSize, c.BOSTokenID = 0, 1, 0
	var e *config.Error
	if !errors.As(c.Validate(), &e) {
		t.Fatal("no *config.Error")
	}
	var keys []string
	for _, p := range e.Problems {
		keys = append(keys, p.Key)
	}
	if got, want := strings.Join(keys, " "), "rope_theta vocab_size eos_token_id"; got != want {
		t.Errorf("problems with %q, want %q", got, want)
	}
}

func TestGradients(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		m := tiny()
		tr := m.Training(2, 9)
		p := e.Compile(tr.Graph, cpu.Training)
		if err := tr.Fill(p, randomIDs(18, m.Config.VocabSize)); err != nil {
			t.Fatal(err)
		}
		testkit.FiniteDifferences(t, p, m.Params)
	})
}

func TestFill(t *testing.T) {
	tr := tiny().Training(2, 3)
	v := testkit.NewValues()
	if err := tr.Fill(v, []int32{1, 2, 3, 4, 5, 6}); err != nil {
		t.Fatal(err)
	}
	if got, want := v.Ints(tr.IDs), []int32{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if got, want := v.Ints(tr.Labels), []int32{2, 3, ar.Ignored, 5, 6, ar.Ignored}; !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	if err := tr.Fill(v, []int32{1, 2, 3}); err == nil {
		t.Error("no error for a batch of another size")
	}
}

// TestBrierIsExact: the measured Brier-1 is that of the logits' probabilities.
func TestBrierIsExact(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny()
	const tokens = 12
	v, ids := m.Config.VocabSize, randomIDs(tokens, m.Config.VocabSize)
	tr := m.Training(1, tokens)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, ids); err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(e, 1, tokens)
	var brier, loss float64
	for i := range tokens - 1 {
		if err := s.Append(ids[i : i+1]); err != nil {
			t.Fatal(err)
		}
		logits, err := s.Logits()
		if err != nil {
			t.Fatal(err)
		}
		var sum, squares float64
		for _, l := range logits[:v] {
			sum += math.Exp(float64(l))
		}
		for _, l := range logits[:v] {
			q := math.Exp(float64(l)) / sum
			squares += q * q
		}
		q := math.Exp(float64(logits[ids[i+1]])) / sum
		brier += (2*q - squares) / (tokens - 1)
		loss -= math.Log(q) / (tokens - 1)
	}
	testkit.Compare(t, "brier", p.Floats(tr.Tokens.Brier), []float32{float32(brier)}, 1e-5)
	testkit.Compare(t, "loss", p.Floats(tr.Tokens.Loss), []float32{float32(loss)}, 1e-5)
}

func TestStepDoesNotAllocate(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	s := tiny().NewSession(e, 2, 64)
	ids := []int32{3, 4}
	allocations := testing.AllocsPerRun(20, func() {
		if err := s.Append(ids); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Logits(); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("a step allocates %v times", allocations)
	}
}
