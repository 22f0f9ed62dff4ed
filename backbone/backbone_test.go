package backbone_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func TestValidate(t *testing.T) {
	valid := backbone.Default(2, 24, 40, 4)
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		change func(*backbone.Config)
		want   string // keys
	}{
		{"nothing", func(c *backbone.Config) { *c = backbone.Config{} }, "hidden_size intermediate_size num_hidden_layers " +
			"num_attention_heads num_key_value_heads max_position_embeddings rms_norm_eps rope_theta initializer_range"},
		{"heads of odd size", func(c *backbone.Config) { c.NumAttentionHeads, c.NumKeyValueHeads = 8, 8 }, "num_attention_heads"},
		{"groups that do not divide", func(c *backbone.Config) { c.NumKeyValueHeads = 3 }, "num_key_value_heads"},
	}
	for _, tc := range cases {
		c := valid
		tc.change(&c)
		var e *config.Error
		if !errors.As(c.Validate(), &e) {
			t.Errorf("%s: no *config.Error", tc.name)
			continue
		}
		var keys []string
		for _, p := range e.Problems {
			keys = append(keys, p.Key)
		}
		if got := strings.Join(keys, " "); got != tc.want {
			t.Errorf("%s: problems with %q, want %q", tc.name, got, tc.want)
		}
	}
}

// forward runs a small backbone over x [rows, positions, 24].
func forward(t *testing.T, e *cpu.Engine, x []float32, rows int) []float32 {
	t.Helper()
	c := backbone.Default(2, 24, 40, 4)
	c.NumKeyValueHeads, c.InitializerRange = 2, .3
	ps := nn.NewParams()
	m := backbone.New(c, ps, "model.")
	ps.Initialize(1)
	g := nn.NewGraph()
	in := g.Floats("x", rows, len(x)/rows/24, 24)
	out := m.Forward(g, in)
	g.Output(out)
	p := e.Compile(g, cpu.Inference)
	copy(p.Floats(in), x)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(p.Floats(out))
}

// TestCausality: a position changes itself and what follows in its row, and nothing else.
func TestCausality(t *testing.T) {
	const rows, positions, at = 2, 9, 4 // changed in row 1
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		rng := rand.New(rand.NewPCG(1, 1))
		x := make([]float32, rows*positions*24)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		before := forward(t, e, x, rows)
		x[(positions+at)*24+3] += 1
		after := forward(t, e, x, rows)
		for i := range rows * positions {
			same := slices.Equal(before[i*24:][:24], after[i*24:][:24])
			if want := i < positions+at; same != want {
				t.Errorf("position %d of row %d is the same: %v, want %v", i%positions, i/positions, same, want)
			}
		}
	})
}
