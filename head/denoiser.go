package head

import (
	"fmt"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// denoiser evaluates an adaLN network at a fixed list of times for R rows and n draws each. The part that depends on
// time and hidden state alone, the conditions, is computed once for all draws and for many evaluations at a time, as
// one product with each weight matrix. Otherwise, with one row, reading these matrices at each step would take most of
// the time.
type denoiser struct {
	denoising
	net                *adaLN
	kind               string
	times              []float32
	conditioner, steps *cpu.Program
	latents            []float32                                   // [n, R, Z]
	evaluateAt         func(k int, x []float32) ([]float32, error) // the method evaluate, made a value once so that draws do not allocate
}

// denoising is the two graphs of a denoiser.
type denoising struct {
	rows, chunk int // chunk: evaluations that conditions are computed for at a time

	conditions struct {
		graph         *nn.Graph
		hidden, times *nn.Tensor   // inputs [R, D], [chunk*R]
		out           []*nn.Tensor // [chunk*R, D]
	}
	step struct {
		graph *nn.Graph
		x     *nn.Tensor   // input [n, R, Z]
		given []*nn.Tensor // states [R, D], bound to a part of conditions.out
		out   *nn.Tensor   // [n, R, outputs]
	}
}

// conditionRows is about how many rows of conditions are computed at a time, for a stream.
const conditionRows = 256

// denoising describes that many evaluations for rows of that many draws each. The rows belong to that many streams. Those
// of a stream decide how many evaluations a chunk has, so that the stream's products are those that it has alone.
func (n *adaLN) denoising(rows, streams, draws, evaluations int) denoising {
	chunks := (evaluations*rows/streams + conditionRows - 1) / conditionRows
	d := denoising{rows: rows, chunk: max(1, (evaluations+chunks-1)/chunks)}

	c := &d.conditions
	c.graph = nn.NewGraph()
	c.hidden, c.times = c.graph.Floats("hidden", rows, n.hidden), c.graph.Floats("times", d.chunk*rows)
	c.out = n.conditions(c.graph, c.hidden, c.times)
	c.graph.Output(c.out...)

	s := &d.step
	s.graph = nn.NewGraph()
	s.x = s.graph.Floats("x", draws, rows, n.latent)
	for i := range n.numConditions() {
		s.given = append(s.given, s.graph.State(fmt.Sprintf("condition.%d", i), rows, n.hidden))
	}
	s.out = n.apply(s.graph, s.x, s.given)
	s.graph.Output(s.out)
	return d
}

// parts describes that many evaluations, for counting.
func (d denoising) parts(evaluations int) []flops.Part {
	return []flops.Part{
		{Name: "head", Graph: d.conditions.graph, Runs: float64((evaluations + d.chunk - 1) / d.chunk)},
		{Name: "head", Graph: d.step.graph, Runs: float64(evaluations)},
	}
}

func newDenoiser(e *cpu.Engine, kind string, net *adaLN, rows, draws int, times []float32) *denoiser {
	d := &denoiser{denoising: net.denoising(rows, e.Streams(), draws, len(times)), net: net, kind: kind, times: times, latents: make([]float32, draws*rows*net.latent)}
	d.conditioner, d.steps = e.Compile(d.conditions.graph, cpu.Inference), e.Compile(d.step.graph, cpu.Inference)
	d.evaluateAt = d.evaluate
	return d
}

// start sets the hidden states [R, D] for the evaluations that follow.
func (d *denoiser) start(hidden []float32) {
	copy(d.conditioner.Floats(d.conditions.hidden), hidden)
}

// evaluate gives the network's predictions [n, R, outputs] of x [n, R, Z] at time number k. Evaluations come in order.
func (d *denoiser) evaluate(k int, x []float32) ([]float32, error) {
	if k%d.chunk == 0 {
		if err := d.condition(k); err != nil {
			return nil, err
		}
	}
	c, s := &d.conditions, &d.step
	size := d.rows * d.net.hidden
	for i, t := range s.given {
		d.steps.Bind(t, d.conditioner.Floats(c.out[i])[k%d.chunk*size:][:size])
	}
	copy(d.steps.Floats(s.x), x)
	if err := d.steps.Forward(); err != nil {
		return nil, err
	}
	return d.steps.Floats(s.out), nil
}

// condition computes the conditions of evaluations k to k+chunk-1.
func (d *denoiser) condition(k int) error {
	c := &d.conditions
	times := d.conditioner.Floats(c.times)
	for i := range d.chunk {
		t := d.times[min(k+i, len(d.times)-1)]
		for r := range d.rows {
			times[i*d.rows+r] = t
		}
	}
	return d.conditioner.Forward()
}

// finish returns the latent vectors. They are checked only here: values on the way may be far from 0, since the first
// reverse step of a diffusion is large.
func (d *denoiser) finish() ([]float32, error) {
	return Settle(d.latents, d.net.latent, Far, d.kind, len(d.times))
}
