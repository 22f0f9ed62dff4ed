// Package nn is the interface between calm's models and the engines that run them: a [Graph] of coarse operations over
// tensors of static shape, and the named parameters ([Params]) they read. A graph is described once, compiled by an
// engine (nn/cpu; internal/gomlx in tests) and run many times. Nothing here computes: the comment of an operation is
// its definition.
//
// Operations run in the order they were added. There is no implicit broadcasting, type promotion or fusion: what an
// operation fuses or repeats is part of its definition. A wrong shape is a programmer's mistake and panics while the
// graph is being described.
//
// # Adding an operation
//
// An operation called Name is four files. Tests fail, and say what is missing, until all four are there.
//
//  1. nn/name.go, the definition: a struct of tensors and constants whose comment gives the formula, the shapes, the
//     inputs without gradient and the bad data that is an error of a run; a method of Graph that checks shapes, makes
//     the outputs and calls add; and Describe. [SwiGLU] is a short example, [CrossEntropy] one with products and a loss.
//  2. nn/cpu/name.go, the implementation of the default engine: a constructor func newName(c *compiler, op *nn.Name) step
//     that declares which buffers the forward and the backward run touch, and the step's methods forward and backward.
//     Add the line op(newName) to the table in nn/cpu/table.go.
//  3. internal/gomlx/name.go, the same in a few lines of GoMLX: a second opinion on values and gradients. Add the line
//     op((*translator).name) to the table in internal/gomlx/table.go; for an operation that cannot be written there, the line
//     none[*nn.Name] with the reason.
//  4. internal/nntest/name.go, the cases of the test suite: a function nameCases that returns at least two shapes (odd ones, 1,
//     beyond a block of the implementation), each with the definition in float64, and usually one more shape to
//     benchmark. Add nameCases() to the list in internal/nntest/cases.go.
//
// Then run
//
//	go test ./nn/... ./flops
//
// The suite compares values with the definition and gradients with central differences, on every instruction set, for
// any number of threads, and checks that a run allocates nothing and reads no memory before it is written.
package nn
