// Package headtest checks kinds of heads: it is the suite that every head passes, calm's own and those of other modules.
//
//	func TestMyHead(t *testing.T) {
//		if err := head.Register(mine.Kind); err != nil {
//			t.Fatal(err)
//		}
//		headtest.Run(t, mine.Kind.Name)
//	}
//
// It builds the head with its default options at tiny sizes and checks what the interfaces of package head promise:
// gradients against finite differences, that positions without weight do not count, samples, metrics, noise, draws,
// the tokens of every sample, cost, configuration, and that training resumed from saved weights and moments gives the same bits as training without
// a stop.
package headtest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Run checks the kind of that name, one of head.Kinds, with a subtest for each property.
func Run(t *testing.T, name string) {
	t.Helper()
	kind, ok := head.Lookup(name)
	if !ok {
		t.Fatalf("there is no kind %q: register it first", name)
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.on(kind); err != nil {
				t.Error(err)
			}
		})
	}
}

// check is one property.
type check struct {
	name string
	of   func(s *subject) error
}

var checks = []check{
	{"parameters", parameters},
	{"metrics", metrics},
	{"gradients", gradients},
	{"weights", weights},
	{"samples", samples},
	{"resume", resume},
	{"noise", noise},
	{"draws", draws},
	{"streams", streams},
	{"sample slots", sampleSlots},
	{"diverging", diverging},
	{"allocations", allocations},
	{"cost", cost},
	{"configuration", configuration},
	{"reference", reference},
	{"language model", languageModel},
}

// on runs the check on a kind.
func (c check) on(kind head.Kind) error {
	e := cpu.New(cpu.Options{Threads: 2})
	defer e.Close()
	return c.of(&subject{kind, e})
}

// Sizes of the tested heads. None is a multiple of a vector register's size.
const (
	hiddenSize = 13 // D
	latentSize = 5  // Z
	positions  = 6  // P, in training
	rows       = 3  // R, of a sampler
)

// subject is the kind that is tested.
type subject struct {
	kind   head.Kind
	engine *cpu.Engine
}

// build makes a head in which every parameter changes the result. Those that start as constants (the last layer of many
// heads is zero) get noise of that standard deviation.
func (s *subject) build(perturbation float32) (head.Head, *nn.Params) {
	ps := nn.NewParams()
	h := s.kind.New(s.kind.Options, hiddenSize, latentSize, .3, ps)
	ps.Initialize(1)
	testkit.Perturb(ps, 2, perturbation)
	return h, ps
}

// numSamples is a number of samples that the kind's loss is defined for, and not the smallest.
func (s *subject) numSamples() int { return max(1, s.kind.MinSamples) + 1 }

// scored is a compiled loss over positions. Hidden states are a parameter too, for their gradients.
type scored struct {
	loss                 *head.Loss
	params               *nn.Params
	hidden               *nn.Param  // [P, D]
	mean, logStd, weight *nn.Tensor // inputs [P, Z], [P, Z], [P]
	program              *cpu.Program
}

// score compiles the loss of a head.
func (s *subject) score(e *cpu.Engine, h head.Head, ps *nn.Params, samples int) *scored {
	x := &scored{params: ps, hidden: ps.Get("headtest.hidden")}
	if x.hidden == nil {
		x.hidden = ps.Matrix("headtest.hidden", nn.Gaussian(1), positions, hiddenSize)
		ps.Initialize(1)
	}
	g := nn.NewGraph()
	x.mean, x.logStd = g.Floats("mean", positions, latentSize), g.Floats("log_std", positions, latentSize)
	x.weight = g.Floats("weight", positions)
	x.loss = h.Loss(g, g.Param(x.hidden), x.mean, x.logStd, x.weight, samples)
	g.Loss(x.loss.Loss, 1)
	g.Output(x.loss.Loss)
	for _, m := range x.loss.Metrics {
		g.Output(m.Value)
	}
	if x.loss.Samples != nil {
		g.Output(x.loss.Samples)
	}
	x.program = e.Compile(g, cpu.Training)
	copy(x.program.Floats(x.mean), normal(3, positions*latentSize))
	for i, v := range normal(4, positions*latentSize) {
		x.program.Floats(x.logStd)[i] = .3*v - .5
	}
	for i := range positions {
		x.program.Floats(x.weight)[i] = 1
	}
	x.program.Floats(x.weight)[1] = 0
	x.program.SetDraws(7, 7)
	return x
}

// step runs the loss forward and backward.
func (x *scored) step() (loss float64, err error) {
	if err := x.program.Step(false); err != nil {
		return 0, err
	}
	return x.program.Loss(), nil
}

// normal returns n normal numbers.
func normal(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

// collected gathers errors.
type collected []error

func (c *collected) add(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

func (c *collected) err() error { return errors.Join(*c...) }

// near says where two lists differ by more than the rounding of sums in another order; "" where they do not.
func near(got, want []float32) string {
	const tolerance = 1e-3
	scale := 0.
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*scale) {
			return fmt.Sprintf("number %d is %v, want %v", i, got[i], want[i])
		}
	}
	return ""
}

// same says where two lists differ, to the last bit; "" where they do not.
func same(got, want []float32) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d numbers, want %d", len(got), len(want))
	}
	if i := slices.IndexFunc(got, func(v float32) bool { return v != v }); i >= 0 {
		return fmt.Sprintf("number %d is NaN", i)
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Sprintf("number %d is %v, want %v", i, got[i], want[i])
		}
	}
	return ""
}
