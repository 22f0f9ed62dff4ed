package train

import (
	"math"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
)

// Objective is what a Trainer trains: a graph with a loss, and how a batch of tokens enters it. Each model has its own, from
// its method Objective.
type Objective struct {
	Graph  *nn.Graph  // one training step on a batch
	Params *nn.Params // the graph's parameters, trained and frozen
	// Layout says how the text is cut into rows of Config.BlockSize tokens.
	Layout corpus.Layout
	// Fill writes a batch of ids [B, T] into the graph's inputs.
	Fill func(v nn.Values, ids []int32) error
	// Metrics returns the metrics of the last batch, without the loss.
	Metrics func(v nn.Values) []metric.Metric
	// Auxiliary is the part of the objective that only training needs; nil: there is none.
	Auxiliary *Auxiliary
}

// Auxiliary is an auxiliary loss. The trained model does not need its parameters.
type Auxiliary struct {
	// Until is the part of a run's steps, from its beginning, in which the loss is on; in (0, 1].
	Until float64
	// Switch turns the loss on or off for the steps that follow. When off, it costs nothing and changes no parameter.
	Switch func(on bool)
	// Params are the loss's parameters. They are saved with the optimizer's state, not with the model.
	Params []*nn.Param
	// Without returns the training graph of the same model without the loss.
	Without func() *nn.Graph
}

// on reports whether the loss is on in step s, counted from 0, of a run of total steps. A total of 0 means that the end is
// not known yet: the loss is on then.
func (a *Auxiliary) on(s, total int) bool {
	return total <= 0 || a.Until >= 1 || s < a.Steps(total)
}

// Steps returns in how many of a run's total steps the loss is on.
func (a *Auxiliary) Steps(total int) int { return int(math.Ceil(a.Until * float64(total))) }
