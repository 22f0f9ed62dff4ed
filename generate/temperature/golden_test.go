package temperature_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/generate/temperature"
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
	in := "in." + pool + ".pool"
	out := "out." + pool
	got := temperature.NewCandidates(c.Ints(t, in), c.Shape(t, in)[1], int(c.Ints(t, "in."+pool+".n")[0]))
	if want := c.Ints(t, out+".m")[0]; got.M != int(want) {
		t.Errorf("m = %d, want %d", got.M, want)
	}
	compareCandidates(t, got, c.Ints(t, out+".candidates"), c.Int64s(t, out+".weights"))
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
	patch, most := shape[3], c.Shape(t, "out.candidates")[2]
	batch, err := temperature.NewBatch(T, patch, shape[2])
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for row := range shape[0] * shape[1] {
		w := weights[row*most : (row+1)*most]
		if end := slices.Index(w, 0); end >= 0 {
			w = w[:end]
		}
		if len(w) == 0 {
			continue
		}
		compared++
		size, at := shape[2]*patch, row*most*patch
		compareCandidates(t, temperature.NewCandidates(raw[row*size:(row+1)*size], patch, batch.Inverse()), candidates[at:at+len(w)*patch], w)
	}
	if compared == 0 {
		t.Error("no row has candidates")
	}
}

func compareCandidates(t *testing.T, c *temperature.Candidates, candidates []int32, weights []int64) {
	t.Helper()
	if c.Len() != len(weights) {
		t.Fatalf("%d candidates, want %d", c.Len(), len(weights))
	}
	if !slices.Equal(c.Patches(), candidates) {
		t.Errorf("candidates %v, want %v", c.Patches(), candidates)
	}
	for i, w := range weights {
		if got := c.Weight(i); !got.IsInt64() || got.Int64() != w {
			t.Errorf("weight of candidate %d: %v, want %d", i, got, w)
		}
	}
}
