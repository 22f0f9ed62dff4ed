package cpu_test

import (
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestAdamW follows the update rule in float64 over several steps: decay on matrices alone, a learning-rate multiplier,
// scaled gradients and the norm of all gradients. A parameter that the loss does not reach, and one with multiplier 0,
// do not change. An update does not allocate.
func TestAdamW(t *testing.T) {
	const steps, lr, scale = 5, .01, .25
	c := cpu.AdamWConfig{Beta1: .9, Beta2: .95, Epsilon: 1e-8, WeightDecay: .1}
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		ps, g := nn.NewParams(), nn.NewGraph()
		w, b := ps.Matrix("w", nn.Gaussian(1), 130, 131), ps.Vector("b", nn.Gaussian(1), 17)
		side, frozen := ps.Matrix("side", nn.Gaussian(1), 3, 3), ps.Matrix("frozen", nn.Gaussian(1), 130, 131)
		still := ps.Matrix("still", nn.Gaussian(1), 5, 3)
		frozen.Frozen, b.Rate, still.Rate = true, 2.5, 0
		ps.Initialize(1)
		g.Loss(g.WeightedSum(g.SwiGLU(g.Param(w), g.Param(frozen)), g.Floats("ww", 130, 131)), 1)
		g.Loss(g.WeightedSum(g.SwiGLU(g.Param(b), g.Param(b)), g.Floats("wb", 17)), 1)
		g.Loss(g.WeightedSum(g.SwiGLU(g.Param(still), g.Param(still)), g.Floats("ws", 15)), 1)
		g.Output(g.SwiGLU(g.Param(side), g.Param(side)))
		p := e.Compile(g, cpu.Training)
		for _, x := range g.Tensors() {
			if x.Role() == nn.Input {
				copy(p.Floats(x), normal(uint64(x.Size()), x.Size()))
			}
		}
		o := cpu.NewAdamW(p)
		others := func() []float32 { return slices.Concat(side.Data, frozen.Data, still.Data) }
		untouched := others()
		m, v := map[*nn.Param][]float64{}, map[*nn.Param][]float64{}
		for step := 1; step <= steps; step++ {
			once(t, p, true)
			want, norm := map[*nn.Param][]float64{}, 0.
			for _, grad := range p.Grad(still) {
				norm += float64(grad) * float64(grad)
			}
			for _, param := range []*nn.Param{w, b} {
				if step == 1 {
					m[param], v[param] = make([]float64, param.Size()), make([]float64, param.Size())
				}
				for i, grad := range p.Grad(param) {
					norm += float64(grad) * float64(grad)
					d := float64(grad) * scale
					m[param][i] = c.Beta1*m[param][i] + (1-c.Beta1)*d
					v[param][i] = c.Beta2*v[param][i] + (1-c.Beta2)*d*d
					x := float64(param.Data[i])
					if param == w {
						x *= 1 - lr*param.Rate*c.WeightDecay
					}
					mean, square := m[param][i]/(1-math.Pow(c.Beta1, float64(step))), v[param][i]/(1-math.Pow(c.Beta2, float64(step)))
					want[param] = append(want[param], x-lr*param.Rate*mean/(math.Sqrt(square)+c.Epsilon))
				}
			}
			if got := o.GradNorm(); !(math.Abs(got/math.Sqrt(norm)-1) < 1e-6) {
				t.Errorf("step %d: gradient norm %v, want %v", step, got, math.Sqrt(norm))
			}
			o.Step(c, lr, step, scale)
			for param, values := range want {
				for i, x := range values {
					if d := math.Abs(float64(param.Data[i]) - x); !(d < 1e-6) {
						t.Fatalf("step %d: %s[%d] is %v, want %v", step, param.Name, i, param.Data[i], x)
					}
				}
			}
		}
		sameBits(t, "parameters that are not trained", others(), untouched)
		seen := 0
		o.Moments(func(param *nn.Param, m, v []float32) {
			seen++
			if moved := slices.ContainsFunc(slices.Concat(m, v), func(x float32) bool { return x != 0 }); moved == (param == still) {
				t.Errorf("the moments of %s have moved: %t", param.Name, moved)
			}
		})
		if seen != 3 {
			t.Errorf("%d parameters have moments, want 3", seen)
		}
		if n := testing.AllocsPerRun(3, func() { o.GradNorm(); o.Step(c, 0, steps, 1) }); n != 0 {
			t.Errorf("an update allocates %v times", n)
		}
	})
}
