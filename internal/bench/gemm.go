package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// GemmOptions are the options of Gemm.
type GemmOptions struct {
	Options
	Model   run.Kind // kind of the presets; "" for the only kind that has a preset of that name
	Presets []string // presets whose training steps give the products to measure; none for TrainPresets
	Cube    int      // measure only products of two Cube x Cube matrices; 0 for 1024 x 1024 and the products of presets
}

// product is a matrix product in one of the layouts of a training step.
type product struct {
	m, n, k int
	layout  string // nt: X·Wᵀ, the forward pass; nn: dY·W, the gradient of X; tn: dYᵀ·X, the gradient of W
}

func (p product) flops() float64 { return 2 * float64(p.m) * float64(p.n) * float64(p.k) }

// Gemm measures matrix products on one thread and on all threads, alternately, and compares each with the peak. Unless the
// options name products, it also measures products of a few rows with weights of each number format, and compares them with the
// rate at which memory is read.
func Gemm(ctx context.Context, o GemmOptions) error {
	products, err := o.products()
	if err != nil {
		return err
	}
	all := o.engine(o.Threads)
	defer all.Close()
	engines := []*cpu.Engine{all}
	if all.Threads() > 1 {
		one := o.engine(1)
		defer one.Close()
		engines = []*cpu.Engine{one, all}
	}
	for _, p := range products {
		if err := o.measure(ctx, p, engines); err != nil {
			return fmt.Errorf("bench gemm: %w", err)
		}
	}
	if o.Cube > 0 || len(o.Presets) > 0 {
		return nil
	}
	if err := o.measureWeights(ctx, all, weightsBytes); err != nil {
		return fmt.Errorf("bench gemm: %w", err)
	}
	return nil
}

// products lists the cube in three layouts, and the products of the presets' linear maps. Each product is listed once, and the
// largest of a preset first. (Cross entropy computes its product in chunks of the same shapes.)
func (o GemmOptions) products() ([]product, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	n := cmp.Or(o.Cube, 1024)
	list := []product{{n, n, n, "nt"}, {n, n, n, "nn"}, {n, n, n, "tn"}}
	if o.Cube > 0 {
		return list, nil
	}
	names := o.Presets
	if len(names) == 0 {
		names = TrainPresets()
	}
	seen := map[product]bool{}
	for _, name := range names {
		m, err := newModel(name, o.Model, true, nil)
		if err != nil {
			return nil, err
		}
		objective, err := m.Objective()
		if err != nil {
			return nil, err
		}
		from := len(list)
		for _, p := range linearProducts(objective.Graph) {
			if !seen[p] {
				seen[p] = true
				list = append(list, p)
			}
		}
		slices.SortStableFunc(list[from:], func(a, b product) int { return cmp.Compare(b.flops(), a.flops()) })
	}
	return list, nil
}

// linearProducts lists the products that a training step computes for linear maps.
func linearProducts(g *nn.Graph) []product {
	var list []product
	need := g.NeedsGrad()
	for _, op := range g.Ops() {
		l, ok := op.(*nn.Linear)
		if !ok {
			continue
		}
		rows, in, out := l.X.Rows(), l.X.Cols(), l.Y.Cols()
		list = append(list, product{rows, out, in, "nt"})
		if need[l.X.Root().ID()] {
			list = append(list, product{rows, in, out, "nn"})
		}
		if need[l.W.Root().ID()] {
			list = append(list, product{out, in, rows, "tn"})
		}
	}
	return list
}

// measure measures a product on each engine. The first engine has one thread.
func (o GemmOptions) measure(ctx context.Context, p product, engines []*cpu.Engine) error {
	a, b, c := randomFloats(p.m*p.k), randomFloats(p.k*p.n), cpu.AlignedFloats(p.m*p.n)
	var all []*series
	for _, e := range engines {
		multiply := e.MatMul(p.m, p.n, p.k, a, b, c, p.layout == "tn", p.layout == "nt")
		all = append(all, &series{peak: fmaPeak(e.ISA(), e.Threads()), run: func() error {
			multiply()
			return nil
		}})
	}
	if err := measure(ctx, o.duration(), all...); err != nil {
		return err
	}
	var one float64
	for i, e := range engines {
		r := all[i].result("gemm/"+p.layout, fmt.Sprintf("%dx%dx%d", p.m, p.n, p.k), e.Threads(), e.ISA().String())
		r.arithmetic(p.flops(), all[i].peaks)
		if i == 0 {
			one = r.MSMedian
		} else {
			r.Speedup = one / r.MSMedian
		}
		o.Emit(r)
	}
	return nil
}

func randomFloats(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	s := cpu.AlignedFloats(n)
	for i := range s {
		s[i] = r.Float32() - .5
	}
	return s
}
