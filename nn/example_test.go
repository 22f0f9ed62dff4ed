package nn_test

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// A graph is described once, compiled by an engine, and run as often as wanted.
func Example() {
	ps := nn.NewParams()
	w := ps.Matrix("w", nn.Gaussian(.02), 2, 3) // [out, in]
	ps.Initialize(1)
	copy(w.Data, []float32{1, 0, 0, 0, 1, 1})

	// y = x · w^T, and the mean squared error of y.
	g := nn.NewGraph()
	x, target := g.Floats("x", 2, 3), g.Floats("target", 2, 2)
	y := g.Linear(x, g.Param(w), nil, nn.LinearOptions{})
	g.Output(y)
	g.Loss(g.MeanSquaredError(y, target, nil), 1)

	engine := cpu.New(cpu.Options{Threads: 1})
	defer engine.Close()
	p := engine.Compile(g, cpu.Training)

	// Write the inputs, run forward and backward, read the outputs.
	copy(p.Floats(x), []float32{1, 2, 3, 4, 5, 6})
	copy(p.Floats(target), []float32{1, 5, 4, 9})
	if err := p.Step(false); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("y:", p.Floats(y))
	fmt.Println("loss:", p.Loss())
	fmt.Println("gradient of w:", p.Grad(w))
	// Output:
	// y: [1 5 4 11]
	// loss: 1
	// gradient of w: [0 0 0 4 5 6]
}
