package temperature_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/internal/testkit"
)

// TestGoldenTemperature compares candidates, weights and the cascade's m with the
// reference's for every pool of every case.
func TestGoldenTemperature(t *testing.T) {
	for _, c := range testkit.Golden(t, "temperature") {
		pools := 0
		for _, name := range c.Names("in.") {
			if pool, ok := strings.CutSuffix(strings.TrimPrefix(name, "in."), ".pool"); ok {
				pools++
				t.Run(c.Name+"/"+pool, func(t *testing.T) { comparePool(t, c, pool) })
			}
		}
		if pools == 0 {
			t.Errorf("%s holds no pools", c.Name)
		}
	}
}

func comparePool(t *testing.T, c testkit.Case, pool string) {
	in, out := "in."+pool+".pool", "out."+pool
	shape, n := c.Shape(t, in), c.Ints(t, "in."+pool+".n")[0]
	patches := &temperature.Patches{K: shape[1], IDs: c.Ints(t, in)}
	candidates := compareCandidates(t, patches, shape[0], 1/float64(n), c.Ints(t, out+".candidates"), c.Int64s(t, out+".weights"))
	// The cascade's m: tuples are of 1/T draws, or of as many as the largest count has.
	m := int(n)
	for _, candidate := range candidates {
		m = min(m, candidate.Count)
	}
	largest := slices.MaxFunc(candidates, func(x, y temperature.Candidate) int { return x.Count - y.Count }).Count
	if want := c.Ints(t, out+".m")[0]; min(int(n), largest) != int(want) || m != int(want) {
		t.Errorf("m = %d, counts %d to %d, want %d", n, m, largest, want)
	}
}

// TestGoldenGenerateCandidates does the same for the pools that the reference
// drew while it generated below temperature 1.
func TestGoldenGenerateCandidates(t *testing.T) {
	ran := 0
	for _, c := range testkit.Golden(t, "generate") {
		var settings struct{ Temperature float64 }
		if c.Settings(t, &settings); settings.Temperature < 1 {
			ran++
			t.Run(c.Name, func(t *testing.T) { compareGenerated(t, c, settings.Temperature) })
		}
	}
	if ran == 0 {
		t.Skip("there is no case with a temperature below 1")
	}
}

// compareGenerated compares the candidates of out.raw_tokens [steps, B, N, K]. They
// are filled up with -1, weights with 0; a row that has ended has none.
func compareGenerated(t *testing.T, c testkit.Case, T float64) {
	raw, shape := c.Ints(t, "out.raw_tokens"), c.Shape(t, "out.raw_tokens")
	candidates, weights := c.Ints(t, "out.candidates"), c.Int64s(t, "out.weights")
	patch, width := shape[3], c.Shape(t, "out.candidates")[2]
	compared := 0
	for row := range shape[0] * shape[1] {
		w := weights[row*width : (row+1)*width]
		if end := slices.Index(w, 0); end >= 0 {
			w = w[:end]
		}
		if len(w) == 0 {
			continue
		}
		compared++
		size, at := shape[2]*patch, row*width*patch
		pool := &temperature.Patches{K: patch, IDs: raw[row*size : (row+1)*size]}
		compareCandidates(t, pool, shape[2], T, candidates[at:at+len(w)*patch], w)
	}
	if compared == 0 {
		t.Error("no row has candidates")
	}
}

// compareCandidates compares the batch sampler's candidates for a pool, and the ratios of their weights.
func compareCandidates(t *testing.T, pool *temperature.Patches, size int, T float64, candidates []int32, weights []int64) []temperature.Candidate {
	t.Helper()
	b, err := temperature.NewBatch(T, pool.K, size)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Candidates(pool)
	if err != nil || len(got) != len(weights) {
		t.Fatalf("%d candidates (%v), want %d", len(got), err, len(weights))
	}
	largest := slices.Max(weights)
	for i, c := range got {
		if patch := pool.IDs[c.Draw*pool.K:][:pool.K]; !slices.Equal(patch, candidates[i*pool.K:][:pool.K]) {
			t.Errorf("candidate %d is %v, want %v", i, patch, candidates[i*pool.K:][:pool.K])
		}
		if want := float64(weights[i]) / float64(largest); math.Abs(c.Weight-want) > 1e-9*want {
			t.Errorf("weight of candidate %d: %v of the largest, want %v", i, c.Weight, want)
		}
	}
	return got
}
