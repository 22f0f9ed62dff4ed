package train

import (
	"math"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Objective is what a Trainer trains: a graph with a loss, and how a batch of tokens enters it. Models make their own.
type Objective struct {
	Graph  *nn.Graph
	Params *nn.Params
	// Layout is how the text is cut into rows of Config.BlockSize tokens.
	Layout corpus.Layout
	// Fill writes a batch of ids [B, T] into the compiled graph's inputs.
	Fill func(p *cpu.Program, ids []int32) error
	// Metrics reads the metrics of the last run, besides the loss.
	Metrics func(p *cpu.Program) []metric.Metric
	// Auxiliary is the part of the objective that only training needs; nil where there is none.
	Auxiliary *Auxiliary
}

// Auxiliary is an auxiliary loss, with parameters that are of no use to the trained model.
type Auxiliary struct {
	// Until is the part of a run's steps that the loss is on for, in (0, 1]: the first ones.
	Until float64
	// Switch turns the loss on or off for the steps that follow. Off, it costs nothing and changes no parameter.
	Switch func(on bool)
	// Params are saved with the optimizer's state, not with the model.
	Params []*nn.Param
	// Without describes the training step of the same model without the loss.
	Without func() *nn.Graph
}

// on reports whether the loss is on in step s, counted from 0, of a run of total steps; 0 stands for a run whose end is
// not known yet.
func (a *Auxiliary) on(s, total int) bool {
	return total <= 0 || a.Until >= 1 || s < a.Steps(total)
}

// Steps returns how many of total steps have the loss on.
func (a *Auxiliary) Steps(total int) int { return int(math.Ceil(a.Until * float64(total))) }
