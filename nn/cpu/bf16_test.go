package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/bfloat16"
	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// halfModel has every operation that reads a matrix: a lookup, products with whole matrices and windows, and with a
// tied head the argmax, the cross entropy, and probabilities with draws.
type halfModel struct {
	ids, labels, y, best *nn.Tensor
	loss                 *nn.CrossEntropy
	draws                *nn.Categorical
	graph                *nn.Graph
}

func newHalfModel(ps *nn.Params, rows, vocab, d, f int) halfModel {
	g := nn.NewGraph()
	m := halfModel{graph: g, ids: g.Ints("ids", rows), labels: g.Ints("labels", rows)}
	table := g.Param(ps.Get("table"))
	x := g.Embedding(table, m.ids, -1)
	h := g.Linear(x, g.Param(ps.Get("up")), g.Param(ps.Get("bias")), nn.LinearOptions{Rows: f, Act: nn.SiLUActivation})
	h = g.SwiGLU(h, g.Linear(x, g.Param(ps.Get("up")), g.Param(ps.Get("bias")), nn.LinearOptions{Row: f}))
	m.y = g.Linear(h, g.Param(ps.Get("down")), nil, nn.LinearOptions{Cols: f, Add: x})
	m.best = g.ArgMax(m.y, table)
	m.loss = g.CrossEntropy(m.y, table, m.labels)
	m.draws = g.Categorical(m.y, table, m.labels, g.Random("uniform", nn.Uniform(0, 1), 2, rows))
	g.Output(m.y, m.best, m.loss.Loss, m.loss.Hits, m.loss.Brier, m.draws.LogP, m.draws.Collision, m.draws.Draws)
	return m
}

func halfParams(vocab, d, f int) *nn.Params {
	ps := nn.NewParams()
	ps.Matrix("table", nn.Gaussian(1), vocab, d)
	ps.Matrix("up", nn.Gaussian(.3), 2*f, d)
	ps.Vector("bias", nn.Gaussian(.3), 2*f)
	ps.Matrix("down", nn.Gaussian(.3), d, f+3)
	ps.Initialize(3)
	return ps
}

// TestBF16: a model of bfloat16 computes bit for bit what one of the same numbers in float32 does, whether few rows
// stream the weights or many share packed ones.
func TestBF16(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		for _, threads := range []int{1, 2} {
			e := engine(t, isa, threads)
			for _, rows := range []int{1, 2, 4, 8, 9, 33, 70} {
				for _, size := range [][3]int{{131, 22, 37}, {300, 64, 344}} {
					testBF16(t, e, rows, size[0], size[1], size[2])
				}
			}
		}
	})
}

func testBF16(t *testing.T, e *cpu.Engine, rows, vocab, d, f int) {
	half, full := halfParams(vocab, d, f), nn.NewParams()
	half.RoundToBF16()
	for _, p := range half.All() {
		q := full.Matrix(p.Name, p.Init, p.Size(), 1)
		q.Shape, q.Data = p.Shape, slices.Clone(p.Data)
		for _, v := range p.BF16 {
			q.Data = append(q.Data, bfloat16.ToFloat32(v))
		}
		if (p.BF16 != nil) != p.Matrix() || (p.Data != nil) == p.Matrix() {
			t.Fatalf("%s: matrices are to be bfloat16, vectors float32", p.Name)
		}
	}
	what := fmt.Sprintf("%d rows, vocabulary %d, sizes %d and %d: ", rows, vocab, d, f)
	run := func(ps *nn.Params) (y []float32, best []int32) {
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
		y = append(slices.Clone(p.Floats(m.y)), p.Scalar(m.loss.Loss), p.Scalar(m.loss.Hits), p.Scalar(m.loss.Brier))
		y = slices.Concat(y, p.Floats(m.draws.LogP), p.Floats(m.draws.Collision))
		return y, slices.Concat(p.Ints(m.best), p.Ints(m.draws.Draws))
	}
	y, best := run(half)
	wantY, wantBest := run(full)
	for i := range y {
		if math.Float32bits(y[i]) != math.Float32bits(wantY[i]) || y[i] != y[i] {
			t.Fatalf("%snumber %d is %v, in float32 %v", what, i, y[i], wantY[i])
		}
	}
	if !slices.Equal(best, wantBest) {
		t.Fatalf("%slikeliest %v, in float32 %v", what, best, wantBest)
	}
}

func TestBF16IsForInference(t *testing.T) {
	ps := halfParams(20, 8, 8)
	ps.RoundToBF16()
	m := newHalfModel(ps, 2, 20, 8, 8)
	m.graph.Loss(m.loss.Loss, 1)
	defer func() {
		if s := fmt.Sprint(recover()); !strings.Contains(s, "training needs float32") {
			t.Errorf("compiling for training: %s", s)
		}
	}()
	engine(t, kernel.Portable, 1).Compile(m.graph, cpu.Training)
}

func TestSetBF16(t *testing.T) {
	ps := halfParams(20, 8, 8)
	if err := ps.SetBF16("table", []int{20, 8}, make([]uint16, 160)); err != nil || ps.Get("table").Data != nil || !ps.Get("table").HasData() {
		t.Errorf("a table: %v", err)
	}
	for name, shape := range map[string][]int{"bias": {16}, "table": {8, 20}, "nothing": {1}} {
		if ps.SetBF16(name, shape, nil) == nil {
			t.Errorf("%s %v: no error", name, shape)
		}
	}
}
