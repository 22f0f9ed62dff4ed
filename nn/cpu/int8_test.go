package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestInt8: a model of int8 computes what the same numbers in float32 give, to rounding, and the same bits on any number of
// threads. Norms, biases and tables that are only looked up stay.
func TestInt8(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		one, three := engine(t, isa, 1), engine(t, isa, 3)
		for _, rows := range []int{1, 2, 4, 8, 9, 33, 70} {
			for _, size := range [][3]int{{131, 22, 37}, {300, 64, 344}} {
				testInt8(t, one, three, rows, size[0], size[1], size[2])
			}
		}
	})
}

func testInt8(t *testing.T, one, three *cpu.Engine, rows, vocab, d, f int) {
	narrow, full := halfParams(vocab, d, f), nn.NewParams()
	narrow.QuantizeToInt8()
	for _, p := range narrow.All() {
		q := full.Matrix(p.Name, p.Init, p.Size(), 1)
		q.Shape, q.Data = p.Shape, slices.Clone(p.Data)
		for i, v := range p.Int8 {
			q.Data = append(q.Data, p.Scales[i/p.Shape[1]]*float32(v))
		}
		if (p.Int8 != nil) != p.Matrix() || (p.Data != nil) == p.Matrix() || !p.HasData() {
			t.Fatalf("%s: matrices are to be int8, vectors float32", p.Name)
		}
	}
	what := fmt.Sprintf("%d rows, vocabulary %d, sizes %d and %d: ", rows, vocab, d, f)
	run := func(e *cpu.Engine, ps *nn.Params) []float32 {
		m := newHalfModel(ps, rows, vocab, d, f)
		p := e.Compile(m.graph, cpu.Inference)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range rows {
			p.Ints(m.ids)[i], p.Ints(m.labels)[i] = r.Int32N(int32(vocab)), r.Int32N(int32(vocab))
		}
		once(t, p, false)
		if n := testing.AllocsPerRun(3, func() { once(t, p, false) }); n != 0 {
			t.Errorf("%sa run allocates %v times", what, n)
		}
		return slices.Concat(p.Floats(m.y), p.Floats(m.draws.LogP), []float32{p.Scalar(m.loss.Loss), p.Scalar(m.loss.Brier)})
	}
	got, want := run(one, narrow), run(one, full)
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 2e-4*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("%snumber %d is %v, in float32 %v", what, i, got[i], want[i])
		}
	}
	if !slices.Equal(got, run(three, narrow)) {
		t.Fatalf("%sthree threads give other bits than one", what)
	}
}

func TestInt8IsForInference(t *testing.T) {
	ps := halfParams(20, 8, 8)
	ps.QuantizeToInt8()
	m := newHalfModel(ps, 2, 20, 8, 8)
	m.graph.Loss(m.loss.Loss, 1)
	defer func() {
		if s := fmt.Sprint(recover()); !strings.Contains(s, "training needs float32") {
			t.Errorf("compiling for training: %s", s)
		}
	}()
	engine(t, kernel.Portable, 1).Compile(m.graph, cpu.Training)
}

func TestSetInt8(t *testing.T) {
	ps := halfParams(20, 8, 8)
	ps.Table("lookup", nn.Gaussian(1), 3, 4)
	ps.Initialize(1)
	ps.QuantizeToInt8()
	if p := ps.Get("lookup"); p.Int8 != nil || p.Data == nil {
		t.Error("a table that no product reads became int8")
	}
	err := ps.SetInt8("lookup", []int{3, 4}, make([]int8, 12), make([]float32, 3))
	if p := ps.Get("lookup"); err != nil || p.Data != nil || p.BF16 != nil || !p.HasData() {
		t.Errorf("a table: %v", err)
	}
	for name, shape := range map[string][]int{"bias": {16}, "table": {8, 20}, "nothing": {1}} {
		if ps.SetInt8(name, shape, nil, nil) == nil {
			t.Errorf("%s %v: no error", name, shape)
		}
	}
	if ps.SetInt8("table", []int{20, 8}, make([]int8, 160), make([]float32, 8)) == nil {
		t.Error("a scale for each column: no error")
	}
	ps.Release()
	if p := ps.Get("lookup"); p.HasData() || p.Scales != nil {
		t.Error("values are there after Release")
	}
}
