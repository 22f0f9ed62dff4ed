package head

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/cpu/kernel"
)

// denoiser evaluates an adaLN network at a fixed list of times for R rows and n draws each. What depends on time and
// hidden state alone is computed once for the draws, and for many evaluations at a time, as one product with each
// weight matrix: with one row, reading those matrices at each step would take most of the time.
type denoiser struct {
	net         *adaLN
	kind        string
	rows, draws int
	times       []float32
	chunk       int // evaluations that conditions are computed for at a time

	conditions struct {
		graph         *nn.Graph
		program       *cpu.Program
		hidden, times *nn.Tensor   // inputs [R, D], [chunk*R]
		out           []*nn.Tensor // [chunk*R, D]
	}
	step struct {
		graph   *nn.Graph
		program *cpu.Program
		x       *nn.Tensor   // input [n, R, Z]
		given   []*nn.Tensor // states [R, D], bound to a part of conditions.out
		out     *nn.Tensor   // [n, R, outputs]
	}
	latents    []float32                                   // [n, R, Z]
	evaluateAt func(k int, x []float32) ([]float32, error) // evaluate, as a value made once: it costs no allocation
}

// conditionRows is about how many rows of conditions are computed at a time.
const conditionRows = 256

func newDenoiser(e *cpu.Engine, kind string, net *adaLN, rows, draws int, times []float32) *denoiser {
	d := &denoiser{net: net, kind: kind, rows: rows, draws: draws, times: times, latents: make([]float32, draws*rows*net.latent)}
	chunks := (len(times)*rows + conditionRows - 1) / conditionRows
	d.chunk = max(1, (len(times)+chunks-1)/chunks)

	c := &d.conditions
	c.graph = nn.NewGraph()
	c.hidden, c.times = c.graph.Floats("hidden", rows, net.hidden), c.graph.Floats("times", d.chunk*rows)
	c.out = net.conditions(c.graph, c.hidden, c.times)
	c.graph.Output(c.out...)
	c.program = e.Compile(c.graph, cpu.Inference)

	s := &d.step
	s.graph = nn.NewGraph()
	s.x = s.graph.Floats("x", draws, rows, net.latent)
	for i := range net.numConditions() {
		s.given = append(s.given, s.graph.State(fmt.Sprintf("condition.%d", i), rows, net.hidden))
	}
	s.out = net.apply(s.graph, s.x, s.given)
	s.graph.Output(s.out)
	s.program = e.Compile(s.graph, cpu.Inference)
	d.evaluateAt = d.evaluate
	return d
}

// start takes the hidden states [R, D] of the evaluations to come.
func (d *denoiser) start(hidden []float32) {
	copy(d.conditions.program.Floats(d.conditions.hidden), hidden)
}

// evaluate gives the network's predictions [n, R, outputs] of x [n, R, Z] at time number k. Evaluations come in order.
func (d *denoiser) evaluate(k int, x []float32) ([]float32, error) {
	if !within(x, math.MaxFloat32) { // on the way it may be far off: the first step back of a diffusion is a large one
		return nil, &DivergedError{Head: d.kind, Step: k, Steps: len(d.times)}
	}
	if k%d.chunk == 0 {
		if err := d.condition(k); err != nil {
			return nil, err
		}
	}
	c, s := &d.conditions, &d.step
	size := d.rows * d.net.hidden
	for i, t := range s.given {
		s.program.Bind(t, c.program.Floats(c.out[i])[k%d.chunk*size:][:size])
	}
	copy(s.program.Floats(s.x), x)
	if err := s.program.Forward(); err != nil {
		return nil, err
	}
	return s.program.Floats(s.out), nil
}

// condition computes the conditions of evaluations k to k+chunk-1.
func (d *denoiser) condition(k int) error {
	c := &d.conditions
	times := c.program.Floats(c.times)
	for i := range d.chunk {
		t := d.times[min(k+i, len(d.times)-1)]
		for r := range d.rows {
			times[i*d.rows+r] = t
		}
	}
	return c.program.Forward()
}

// finish returns the latent vectors if they are some.
func (d *denoiser) finish() ([]float32, error) {
	if !within(d.latents, farthest) {
		return nil, &DivergedError{Head: d.kind, Step: len(d.times), Steps: len(d.times)}
	}
	return d.latents, nil
}

// fillNormal is FillNoise for draws of size normal numbers a row.
func (d *denoiser) fillNormal(isa kernel.ISA, dst []float32, stream kernel.Stream, first, size int) {
	isa.Normal(dst, stream, first*d.rows*size)
}

// Passes returns what a call of Sample computes.
func (d *denoiser) Passes() []Pass {
	return []Pass{{d.conditions.graph, (len(d.times) + d.chunk - 1) / d.chunk}, {d.step.graph, len(d.times)}}
}
