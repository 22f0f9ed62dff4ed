package page_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
)

type packed struct {
	Patch_Size int
	Tokens     []token
	Latents    [][]float64
	Noise      [][]float64
}

type unpacked struct {
	Tokens []token
	Right  int
}

func names(list []token) string {
	var b strings.Builder
	for _, t := range list {
		b.WriteString(t.Name)
	}
	return b.String()
}

// TestPack: the vectors are the library's, and the noise is standard normal, that of a patch whatever follows it.
func TestPack(t *testing.T) {
	h, l := handler(t)
	const text = "the whale swam round and round a ship"
	for _, model := range []string{"ae", "lm"} {
		p := answer[packed](t, h, "/api/pack", map[string]any{"model": model, "text": text, "seed": 5})
		m, release, err := l.acquire(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Encode(text)
		release()
		if err != nil || len(p.Latents) != len(want) || p.Patch_Size != 4 || names(p.Tokens) != text || len(p.Noise) != len(want) {
			t.Fatalf("%+v, %v; want %d vectors", p, err, len(want))
		}
		for i, z := range want {
			for j, x := range z {
				if math.Abs(p.Latents[i][j]-float64(x)) > .0006 {
					t.Errorf("number %d of vector %d is %g, want %g", j, i, p.Latents[i][j], x)
				}
			}
		}
		longer := answer[packed](t, h, "/api/pack", map[string]any{"model": model, "text": text + " of oak", "seed": 5})
		other := answer[packed](t, h, "/api/pack", map[string]any{"model": model, "text": text, "seed": 6})
		if longer.Noise[3][2] != p.Noise[3][2] || other.Noise[3][2] == p.Noise[3][2] {
			t.Errorf("the noise is %g, %g with more text, %g with another seed", p.Noise[3][2], longer.Noise[3][2], other.Noise[3][2])
		}
	}
	p := answer[packed](t, h, "/api/pack", map[string]any{"model": "ae", "text": strings.Repeat("the whale ", 400), "seed": 1})
	n, sum, square := 0., 0., 0.
	for _, z := range p.Noise {
		for _, x := range z {
			n, sum, square = n+1, sum+x, square+x*x
		}
	}
	if n != 12000 || math.Abs(sum/n) > .05 || math.Abs(square/n-1) > .07 {
		t.Errorf("%g numbers of noise have mean %g and variance %g", n, sum/n, square/n)
	}
}

// TestUnpack: without noise the trained autoencoder gives the text back. With noise there are errors, which are counted
// right, and the same request has the same answer.
func TestUnpack(t *testing.T) {
	h, _ := handler(t)
	const text = "the whale swam round and round a ship of oak"
	ask := func(sigma float64, seed int) unpacked {
		return answer[unpacked](t, h, "/api/unpack", map[string]any{"model": "ae", "text": text, "seed": seed, "sigma": sigma})
	}
	clean, noisy, again, other := ask(0, 1), ask(1, 1), ask(1, 1), ask(1, 2)
	if clean.Right < len(text)*9/10 && !testing.Short() {
		t.Errorf("%d of %d tokens come back: %q", clean.Right, len(text), names(clean.Tokens))
	}
	if noisy.Right >= clean.Right && !testing.Short() || names(noisy.Tokens) != names(again.Tokens) || names(noisy.Tokens) == names(other.Tokens) {
		t.Errorf("with noise %q, again %q, with another seed %q", names(noisy.Tokens), names(again.Tokens), names(other.Tokens))
	}
	right := 0
	for i, token := range noisy.Tokens {
		if token.ID == int32(text[i]) {
			right++
		}
	}
	if right != noisy.Right || len(noisy.Tokens) != len(text) {
		t.Errorf("%d tokens of %d are right, and %d are said to be", right, len(noisy.Tokens), noisy.Right)
	}
}

// TestNames: bytes that are no characters are visible.
func TestNames(t *testing.T) {
	h, _ := handler(t)
	p := answer[packed](t, h, "/api/pack", map[string]any{"model": "ae", "text": "é\x01\n\tx", "seed": 1})
	if got, want := names(p.Tokens), "\\xC3\\xA9\\x01\n\tx"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPackRefuses(t *testing.T) {
	h, _ := handler(t)
	const bad = http.StatusBadRequest
	for _, c := range []struct {
		path   string
		body   any
		status int
		words  string
	}{
		{"pack", map[string]any{"model": "ae", "text": ""}, bad, "no text"},
		{"pack", map[string]any{"model": "ae", "text": strings.Repeat("x", 4001)}, bad, "4001 bytes"},
		{"pack", map[string]any{"model": "more/ar", "text": "x"}, bad, "baseline"},
		{"pack", map[string]any{"model": "ae", "text": "x", "sigma": 0}, bad, "sigma"},
		{"pack", map[string]any{"model": "x", "text": "x"}, http.StatusNotFound, "x"},
		{"unpack", map[string]any{"model": "ae", "text": "x", "sigma": 1.01}, bad, "sigma"},
		{"unpack", map[string]any{"model": "ae", "text": "x", "sigma": -.01}, bad, "sigma"},
		{"unpack", map[string]any{"model": "ae", "text": "", "sigma": 0}, bad, "no text"},
		{"unpack", `{"text":"x","sigma":"0"}`, bad, "cannot be read"},
	} {
		refused(t, h, "/api/"+c.path, c.body, c.status, c.words)
	}
}
