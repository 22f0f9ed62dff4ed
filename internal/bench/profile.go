package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// profile records the time of training steps, by groups of similar operations.
type profile struct {
	ops    *cpu.Profile
	groups []*profileGroup
	of     []*profileGroup // the group of each operation
	draws  []float64       // time of the random draws in each step, in ms
	rest   []float64       // time outside operations in each step, in ms
}

// profileGroup is a group of operations of one kind and one shape.
type profileGroup struct {
	name, shape       string
	count             int           // number of operations
	flops             float64       // FLOPs of a step, forward and backward
	forward, backward []float64     // times in each step, in ms
	f, b              time.Duration // times in the current step
}

// newProfile profiles a program. Each step runs the graph so many times.
func newProfile(p *cpu.Program, g *nn.Graph, runs int) *profile {
	t := &profile{ops: p.Profile()}
	need := g.NeedsGrad()
	found := map[[2]string]*profileGroup{}
	for _, op := range g.Ops() {
		name, shape := describe(op)
		group := found[[2]string{name, shape}]
		if group == nil {
			group = &profileGroup{name: name, shape: shape}
			found[[2]string{name, shape}] = group
			t.groups = append(t.groups, group)
		}
		group.count++
		forward, backward := flops.Op(op, need)
		group.flops += (forward + backward) * float64(runs)
		t.of = append(t.of, group)
	}
	return t
}

// describe returns an operation's kind and shape. The shape of a product, such as 512x640x320, is rows x columns of the result
// x length of the sums.
func describe(op nn.Op) (name, shape string) {
	for _, n := range op.Describe().Sizes {
		shape += fmt.Sprintf("x%d", n)
	}
	return nn.OpName(op), strings.TrimPrefix(shape, "x")
}

// step returns run with profiling.
func (t *profile) step(run func() error) func() error {
	return func() error {
		clear(t.ops.Forward)
		clear(t.ops.Backward)
		clear(t.ops.Draws)
		start := time.Now()
		err := run()
		t.add(time.Since(start))
		return err
	}
}

// add adds the times of a step that took total.
func (t *profile) add(total time.Duration) {
	for _, g := range t.groups {
		g.f, g.b = 0, 0
	}
	var draws time.Duration
	for i, g := range t.of {
		g.f += t.ops.Forward[i]
		g.b += t.ops.Backward[i]
		draws += t.ops.Draws[i]
	}
	rest := total - draws
	for _, g := range t.groups {
		g.forward = append(g.forward, milliseconds(g.f))
		g.backward = append(g.backward, milliseconds(g.b))
		rest -= g.f + g.b
	}
	t.draws = append(t.draws, milliseconds(draws))
	t.rest = append(t.rest, milliseconds(rest))
}

// emit reports the groups, slowest first, then the random draws (except those inside the energy score) and the time outside
// operations. step is the measurement of the whole step. The first step, which warms up, is left out. With gradient
// accumulation the times of an operation are those of all its runs in a step.
func (t *profile) emit(step Result, emit func(Result)) {
	var lines []Result
	add := func(name, shape string, count int, forward, backward []float64) *Result {
		if shape == "" {
			shape = step.Shape
		}
		f, b := median(forward[1:]), median(backward[1:])
		lines = append(lines, Result{Name: step.Name + "/" + name, Shape: shape, Threads: step.Threads, ISA: step.ISA, Runs: len(forward) - 1,
			MSMedian: f + b, Count: count, ForwardMS: f, BackwardMS: b, Share: (f + b) / step.MSMedian})
		return &lines[len(lines)-1]
	}
	for _, g := range t.groups {
		r := add(g.name, g.shape, g.count, g.forward, g.backward)
		if g.flops > 0 && r.MSMedian > 0 {
			r.arithmetic(g.flops, nil)
			r.PeakGFLOPs, r.FractionOfPeak = step.PeakGFLOPs, r.GFLOPs/step.PeakGFLOPs
		}
	}
	slices.SortStableFunc(lines, func(a, b Result) int { return cmp.Compare(b.MSMedian, a.MSMedian) })
	zeros := make([]float64, len(t.draws))
	add("random draws", "", 0, t.draws, zeros)
	// The norm of the gradients, clipping and AdamW. Filling the batch and clearing the gradients take almost no time.
	add("optimizer", "", 0, t.rest, zeros)
	for _, r := range lines {
		emit(r)
	}
}
