package cpu

import (
	"fmt"
	"math"
	"time"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/random"
)

// Mode says what a program is compiled for.
type Mode uint8

// The modes.
const (
	Inference Mode = iota // forward runs only
	Training              // gradients of the graph's loss
)

// Program is a compiled graph with its memory.
type Program struct {
	eng      *Engine
	graph    *nn.Graph
	training bool
	// opNeedsGrad says, while compiling, whether the current operation takes part in the backward run.
	opNeedsGrad bool

	steps      []step
	fills      [][]*fill // random tensors to draw before step i
	values     []*buf    // by tensor ID, roots only
	ints       [][]int32 // by tensor ID, roots only
	grads      []*buf    // by tensor ID, roots only
	paramGrads []paramGrad
	zeroed     []*buf // gradients cleared before a run that does not accumulate
	arena      []float32
	random     map[*nn.Tensor]*fill
	seed, tick uint64
	accumulate bool
	profile    *Profile
}

type paramGrad struct {
	param *nn.Param
	*buf
}

// Compile plans g's memory and prepares its run. The parameters it reads must have their values; a program keeps
// reading the slices they have now. A graph that the engine cannot run is the programmer's mistake and panics.
func (e *Engine) Compile(g *nn.Graph, mode Mode) *Program {
	p, err := e.CompileWithin(g, mode, math.Inf(1))
	if err != nil {
		panic(err) // not reached: any program takes less than infinity
	}
	return p
}

// CompileWithin is Compile with a limit: if the values and gradients of the program would take more than that many
// bytes, it returns a *MemoryError and allocates almost nothing.
func (e *Engine) CompileWithin(g *nn.Graph, mode Mode, bytes float64) (*Program, error) {
	p := &Program{eng: e, graph: g, training: mode == Training, random: map[*nn.Tensor]*fill{}}
	ops, tensors := g.Ops(), g.Tensors()
	c := &compiler{Program: p, n: len(ops), need: make([]bool, len(tensors)), contrib: map[*nn.Tensor][]*contribution{}}
	if p.training {
		c.need = g.NeedsGrad()
	}
	if e.streams > 1 {
		c.checkStreams()
	}
	p.values, p.grads = make([]*buf, len(tensors)), make([]*buf, len(tensors))
	p.ints = make([][]int32, len(tensors))
	p.fills = make([][]*fill, len(ops))
	for _, t := range tensors {
		c.allocate(t)
	}
	for _, t := range g.Outputs() {
		if b := c.value(t); b != nil {
			b.touch(2 * c.n)
		}
	}
	for i, op := range ops {
		c.now = i
		c.opNeedsGrad = false
		for _, t := range op.Describe().Out {
			c.opNeedsGrad = c.opNeedsGrad || c.need[t.ID()]
		}
		draws := c.drawInputs(op)
		p.steps = append(p.steps, c.compileOp(op))
		c.addFills(draws)
	}
	c.resolve()
	gradients := 0
	for _, g := range c.paramGrads {
		gradients += aligned(g.size)
	}
	arena, placed := c.layout(bytes/4 - float64(gradients))
	if need := 4 * (arena + float64(gradients)); need > bytes {
		return nil, &MemoryError{"values and gradients of a batch", need, bytes}
	}
	c.allocateArena(int(arena), placed)
	c.allocateGrads(gradients)
	return p, nil
}

// allocate gives a tensor its buffer; those that hold values across runs get memory of their own.
func (c *compiler) allocate(t *nn.Tensor) {
	if t.Root() != t {
		return
	}
	if t.DType() == nn.Int32 {
		c.ints[t.ID()] = make([]int32, t.Size())
		return
	}
	var b *buf
	switch t.Role() {
	case nn.Value, nn.RandomVar:
		b = c.plan(t.Size())
	case nn.Input:
		b = &buf{size: t.Size(), f: alignedFloats(t.Size())}
	case nn.State:
		b = &buf{size: t.Size()}
	case nn.Parameter:
		p := t.Param()
		if n := max(len(p.Data), len(p.BF16), len(p.Int8)); n != p.Size() {
			panic(fmt.Sprintf("cpu: parameter %q has %d values, its shape %v wants %d", p.Name, n, p.Shape, p.Size()))
		}
		if c.training && p.Data == nil {
			panic(fmt.Sprintf("cpu: parameter %q is bfloat16 or int8, which is for inference: training needs float32", p.Name))
		}
		b = weights(p)
	}
	c.values[t.ID()] = b
}

// weights is the buffer of a parameter, which reads its values where they are.
func weights(p *nn.Param) *buf {
	return &buf{size: p.Size(), f: p.Data, half: p.BF16, narrow: p.Int8, scales: p.Scales}
}

// allocateGrads gives the parameters' gradients one block of memory, in the order of paramGrads.
func (c *compiler) allocateGrads(total int) {
	arena := alignedFloats(total)
	for _, g := range c.paramGrads {
		g.buf.f = arena[:g.size:g.size]
		arena = arena[aligned(g.size):]
	}
}

// Floats returns the memory of a float32 input or output: write inputs before a run, read outputs after it.
func (p *Program) Floats(t *nn.Tensor) []float32 { return p.values[t.Root().ID()].f }

// Scalar returns the value of a scalar output.
func (p *Program) Scalar(t *nn.Tensor) float32 { return p.Floats(t)[0] }

// Ints returns the memory of an int32 input or output.
func (p *Program) Ints(t *nn.Tensor) []int32 { return p.ints[t.Root().ID()] }

// Bind gives a State tensor its memory, which the caller keeps.
func (p *Program) Bind(t *nn.Tensor, memory []float32) {
	if t.Role() != nn.State || len(memory) != t.Size() {
		panic(fmt.Sprintf("cpu: bind %v to %d values", t, len(memory)))
	}
	p.values[t.ID()].f = memory
}

// SetDraws chooses the random numbers of the next runs: those of the given step of the run with the given seed.
func (p *Program) SetDraws(seed, step uint64) { p.seed, p.tick = seed, step }

func (p *Program) stream(draw uint32) random.Stream {
	return random.Stream{Seed: p.seed, Draw: draw, Step: p.tick}
}

// Forward runs the graph. It fails for data that an operation cannot take, such as an id outside its table, and with
// ErrClosed after the engine was closed. The gradients of a training program are undefined afterwards.
func (p *Program) Forward() error {
	if p.eng.closed.Load() {
		return ErrClosed
	}
	for i, s := range p.steps {
		start := p.profile.start()
		for _, f := range p.fills[i] {
			f.draw()
		}
		start = p.profile.drawn(i, start)
		if err := s.forward(); err != nil {
			return err
		}
		p.profile.stop(i, false, start)
	}
	return nil
}

// Step runs a training program forward and backward: afterwards Grad holds the gradient of the graph's loss, added to
// what it held before if accumulate is set. After an error the gradients are undefined.
func (p *Program) Step(accumulate bool) error {
	if !p.training {
		panic("cpu: Step on a program compiled for inference")
	}
	p.accumulate = accumulate
	if !accumulate {
		for _, b := range p.zeroed {
			clear(b.f)
		}
	}
	if err := p.Forward(); err != nil {
		return err
	}
	for i := len(p.steps) - 1; i >= 0; i-- {
		start := p.profile.start()
		p.steps[i].backward()
		p.profile.stop(i, true, start)
	}
	return nil
}

// Loss returns the value of the graph's loss at the last run.
func (p *Program) Loss() float64 {
	var sum float64
	for _, t := range p.graph.Terms() {
		sum += float64(t.Weight) * float64(p.Scalar(t.Loss))
	}
	return sum
}

// Grad returns the gradient of a trainable parameter, in the parameter's shape; nil if the loss does not reach it.
func (p *Program) Grad(param *nn.Param) []float32 {
	for _, g := range p.paramGrads {
		if g.param == param {
			return g.f
		}
	}
	return nil
}

// Bytes returns the size of the memory the program planned for values and gradients that pass between operations.
func (p *Program) Bytes() int { return 4 * len(p.arena) }

// Profile collects the time each operation takes.
type Profile struct {
	Forward, Backward []time.Duration // by operation
	Draws             []time.Duration // of random tensors, by the operation that reads them first; not in Forward
	Runs              int             // forward runs
}

// Profile starts collecting times and returns where they are collected.
func (p *Program) Profile() *Profile {
	n := len(p.steps)
	p.profile = &Profile{Forward: make([]time.Duration, n), Backward: make([]time.Duration, n), Draws: make([]time.Duration, n)}
	return p.profile
}

func (p *Profile) start() time.Time {
	if p == nil {
		return time.Time{}
	}
	return time.Now()
}

// drawn adds the time since start to that of draws and returns the current time.
func (p *Profile) drawn(i int, start time.Time) time.Time {
	if p == nil {
		return start
	}
	now := time.Now()
	p.Draws[i] += now.Sub(start)
	return now
}

func (p *Profile) stop(i int, backward bool, start time.Time) {
	switch {
	case p == nil:
	case backward:
		p.Backward[i] += time.Since(start)
	default:
		p.Forward[i] += time.Since(start)
		if i == 0 {
			p.Runs++
		}
	}
}
