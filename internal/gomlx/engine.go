// Package gomlx runs graphs of package nn on GoMLX: each operation is a few lines of a GoMLX graph, and gradients come
// from its automatic differentiation. It shares no code with nn/cpu, so it checks values and gradients independently.
// It runs on GoMLX's pure Go backend, which is slow and does not plan memory. The table of operations (table.go) says
// which it leaves out, and why.
package gomlx

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Engine runs graphs in one precision.
type Engine struct {
	backend compute.Backend
	dtype   dtypes.DType
}

// New starts an engine that computes in float64, so that its own rounding errors are negligible.
func New() (*Engine, error) {
	// With operations in parallel, the pool of the backend deadlocks on graphs like these.
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fmt.Errorf("start GoMLX's Go backend: %w", err)
	}
	return &Engine{backend, dtypes.Float64}, nil
}

// Close frees the engine's memory.
func (e *Engine) Close() { e.backend.Finalize() }

// Result is the result of a run: the outputs of the graph and, in training, the loss and the gradients of the trainable
// parameters that it depends on, in their shapes.
type Result struct {
	Floats map[*nn.Tensor][]float32 // float32 outputs
	Ints   map[*nn.Tensor][]int32   // int32 outputs
	Loss   float64                  // sum of the weighted losses, in training
	Grads  map[*nn.Param][]float32  // gradients, in training
}

// Run runs g once. floats has the values of its float32 inputs and random tensors, ints those of its int32 inputs. A
// missing value is an error. The result for ids outside their tables is not defined.
func (e *Engine) Run(g *nn.Graph, floats map[*nn.Tensor][]float32, ints map[*nn.Tensor][]int32, training bool) (*Result, error) {
	for _, op := range g.Ops() {
		if err := translates(op); err != nil {
			return nil, err
		}
	}
	args, given, err := e.arguments(g, floats, ints)
	if err != nil {
		return nil, err
	}
	var params []*nn.Tensor
	if training {
		need := g.NeedsGrad()
		for _, t := range given {
			if t.Param() != nil && need[t.ID()] {
				params = append(params, t)
			}
		}
	}
	exec, err := graph.NewExec(e.backend, func(nodes []*graph.Node) []*graph.Node {
		return e.translate(g, given, nodes, params, training)
	})
	if err != nil {
		return nil, fmt.Errorf("prepare a graph for GoMLX: %w", err)
	}
	defer exec.Finalize()
	out, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("run a graph on GoMLX: %w", err)
	}
	return read(g, params, out, training)
}

// arguments lists the tensors that no operation computes, with their values.
func (e *Engine) arguments(g *nn.Graph, floats map[*nn.Tensor][]float32, ints map[*nn.Tensor][]int32) (args []any, given []*nn.Tensor, err error) {
	for _, t := range g.Tensors() {
		if t.Role() == nn.Value || t.Root() != t {
			continue
		}
		values, ids := floats[t], ints[t]
		if p := t.Param(); p != nil {
			values = p.Data
		}
		if max(len(values), len(ids)) != t.Size() {
			return nil, nil, fmt.Errorf("%v has %d values, needs %d", t, max(len(values), len(ids)), t.Size())
		}
		if t.DType() == nn.Int32 {
			args = append(args, tensors.FromFlatDataAndDimensions(ids, t.Shape()...))
		} else {
			wide := make([]float64, len(values))
			for i, v := range values {
				wide[i] = float64(v)
			}
			args = append(args, tensors.FromFlatDataAndDimensions(wide, t.Shape()...))
		}
		given = append(given, t)
	}
	return args, given, nil
}

// translate writes g as a GoMLX graph, and gives its outputs and, in training, the loss and the gradients of params.
func (e *Engine) translate(g *nn.Graph, given []*nn.Tensor, nodes []*graph.Node, params []*nn.Tensor, training bool) []*graph.Node {
	tr := &translator{g: nodes[0].Graph(), dtype: e.dtype, nodes: map[*nn.Tensor]*graph.Node{}}
	for i, t := range given {
		tr.nodes[t] = nodes[i]
	}
	for _, op := range g.Ops() {
		tr.op(op)
	}
	var out []*graph.Node
	for _, t := range g.Outputs() {
		out = append(out, tr.in(t))
	}
	if !training {
		return out
	}
	loss := graph.ScalarZero(tr.g, e.dtype)
	for _, term := range g.Terms() {
		loss = graph.Add(loss, graph.MulScalar(tr.in(term.Loss), float64(term.Weight)))
	}
	out = append(out, loss)
	if len(params) == 0 {
		return out
	}
	var wanted []*graph.Node
	for _, t := range params {
		wanted = append(wanted, tr.nodes[t])
	}
	return append(out, graph.Gradient(loss, wanted...)...)
}

// read splits the results into outputs, loss and gradients.
func read(g *nn.Graph, params []*nn.Tensor, out []*tensors.Tensor, training bool) (*Result, error) {
	r := &Result{Floats: map[*nn.Tensor][]float32{}, Ints: map[*nn.Tensor][]int32{}, Grads: map[*nn.Param][]float32{}}
	for i, t := range g.Outputs() {
		var err error
		if t.DType() == nn.Int32 {
			r.Ints[t], err = tensors.CopyFlatData[int32](out[i])
		} else {
			r.Floats[t], err = narrow(out[i])
		}
		if err != nil {
			return nil, fmt.Errorf("read %v: %w", t, err)
		}
	}
	if !training {
		return r, nil
	}
	out = out[len(g.Outputs()):]
	loss, err := tensors.CopyFlatData[float64](out[0])
	if err != nil {
		return nil, fmt.Errorf("read the loss: %w", err)
	}
	r.Loss = loss[0]
	for i, t := range params {
		if r.Grads[t.Param()], err = narrow(out[1+i]); err != nil {
			return nil, fmt.Errorf("read the gradient of %v: %w", t, err)
		}
	}
	return r, nil
}

func narrow(t *tensors.Tensor) ([]float32, error) {
	wide, err := tensors.CopyFlatData[float64](t)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(wide))
	for i, v := range wide {
		values[i] = float32(v)
	}
	return values, nil
}
