package lm_test

import (
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// TestGoldenGenerate replays the reference's generation patch by patch: the cache, the draws, and below T = 1 the
// candidates of the batch sampler. A prompt that is not whole patches is padded at its end, as in the reference;
// package generate aligns its end instead.
func TestGoldenGenerate(t *testing.T) {
	for _, c := range testkit.Golden(t, "generate") {
		m := c.LM(t)
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { goldenGenerate(t, c, m, e) })
		})
	}
}

func goldenGenerate(t *testing.T, c testkit.Case, m *lm.Model, e *cpu.Engine) {
	var settings struct {
		Temperature float64 `json:"temperature"`
	}
	c.Settings(t, &settings)
	shape, noise, raw := c.Shape(t, "in.noise"), c.Floats(t, "in.noise"), c.Ints(t, "out.raw_tokens")
	k, rows := m.Config.PatchSize, shape[1]
	draws, pad := 1, int32(m.Config.PadTokenID)
	if len(shape) == 4 {
		draws = shape[2]
	}
	prompt, out := c.Ints(t, "in.input_ids"), make([][]int32, rows)
	for b := range out {
		out[b] = slices.Clone(prompt[b*len(prompt)/rows:][:len(prompt)/rows])
		for len(out[b])%k != 0 {
			out[b] = append(out[b], pad)
		}
	}
	s := m.NewSession(e, rows, len(out[0])/k+shape[0])
	sampler := m.NewSampler(e, rows, draws)
	if err := s.Append(slices.Concat(out...)); err != nil {
		t.Fatal(err)
	}
	done := make([]bool, rows)
	for step := range shape[0] {
		size := len(noise) / shape[0]
		pool, err := sampler.DrawFrom(s.Hidden(), bySample(noise[step*size:][:size], rows, draws))
		if err != nil {
			t.Fatal(err)
		}
		pool = bySample(pool, draws, rows) // [rows, draws, K]
		var next []int32
		for b := range rows {
			at, n := step*rows+b, draws*k
			mine := pool[b*n:][:n]
			testkit.CompareInts(t, "out.raw_tokens", mine, raw[at*n:][:n])
			patch := mine
			if settings.Temperature < 1 {
				patch = goldenChoice(t, c, mine, k, at, settings.Temperature)
			}
			if done[b] {
				patch = slices.Repeat([]int32{pad}, k)
			}
			done[b] = done[b] || slices.Contains(patch, int32(m.Config.EOSTokenID))
			out[b] = append(out[b], patch...)
			next = append(next, patch...)
		}
		if err := s.Append(next); err != nil {
			t.Fatal(err)
		}
	}
	for b, ids := range out { // all padding goes to the right end, generated padding too
		text := slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return id == pad })
		out[b] = append(text, slices.Repeat([]int32{pad}, len(ids)-len(text))...)
	}
	testkit.CompareInts(t, "out.output_ids", slices.Concat(out...), c.Ints(t, "out.output_ids"))
}

// bySample reorders [a, b, X] to [b, a, X]: the files are row-major, the sampler is sample-major.
func bySample[T any](from []T, a, b int) []T {
	out, x := make([]T, len(from)), len(from)/(a*b)
	for i := range a {
		for j := range b {
			copy(out[(j*a+i)*x:][:x], from[(i*b+j)*x:])
		}
	}
	return out
}

// goldenChoice checks the candidates at one step and row, and returns the one that the reference drew.
func goldenChoice(t *testing.T, c testkit.Case, pool []int32, k, at int, temp float64) []int32 {
	batch, err := temperature.NewBatch(temp, k, len(pool)/k)
	if err != nil {
		t.Fatal(err)
	}
	candidates, err := batch.Candidates(&temperature.Patches{K: k, IDs: pool})
	if err != nil {
		t.Fatal(err)
	}
	shape := c.Shape(t, "out.candidates")
	want := c.Ints(t, "out.candidates")[at*shape[2]*k:][:shape[2]*k]
	weights := c.Ints(t, "out.weights")[at*shape[2]:][:shape[2]]
	if end := slices.Index(weights, 0); end >= 0 { // filled up
		weights = weights[:end]
	}
	if len(candidates) != len(weights) {
		t.Fatalf("%d candidates, the reference has %d", len(candidates), len(weights))
	}
	for i, w := range weights {
		testkit.CompareInts(t, "out.candidates", pool[candidates[i].Draw*k:][:k], want[i*k:][:k])
		if ratio := float64(w) / float64(slices.Max(weights)); math.Abs(candidates[i].Weight-ratio) > 1e-9*ratio {
			t.Errorf("candidate %d has weight %v of the largest, the reference %v", i, candidates[i].Weight, ratio)
		}
	}
	choice := c.Ints(t, "in.choice")[at]
	if choice < 0 { // the row had ended
		return pool[:k]
	}
	return pool[candidates[choice].Draw*k:][:k]
}
