package run

import (
	"slices"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// Cost is the size of a model and the arithmetic it takes, in multiplications and additions as package flops counts
// them: docs/flops.md has the formulas.
type Cost struct {
	Parameters []Amount // number of parameters, by part
	Kept       int      // number of parameters of the model as saved for use, its autoencoder's included
	Trained    int      // number of these that are trained

	Step       flops.Count // FLOPs of a training step, all its batches
	StepToken  float64     // FLOPs of a training step for each token of its batches
	TokenLoss  flops.Count // FLOPs of the auxiliary token loss in a step; steps after token_loss_until do without
	TokenUntil float64     // token_loss_until, the part of the steps with that loss, in (0, 1]; 0 where there is none
	Steps      int         // number of steps made so far; 0 without a run
	MaxSteps   int         // number of steps in all; 0 where minutes decide
	SoFar      float64     // FLOPs of the steps made
	Planned    float64     // FLOPs of the steps made and of those left to MaxSteps

	Context int      // positions of the context that a token is written in; 0 for an autoencoder
	Token   []Amount // FLOPs of a token written, by part; of an autoencoder, of a token encoded and decoded
}

// Amount is the share of one part of a model.
type Amount struct {
	Name string  // of the part, see Network.Part and flops.Part
	N    float64 // parameters or FLOPs
}

// Cost counts what a described model takes, its parameters without values; context is the number of positions that are
// attended to where a token is written, 0 for those of a training block.
func (m *Model) Cost(context int) (Cost, error) {
	c := Cost{MaxSteps: m.MaxSteps}
	objective, err := m.Objective()
	if err != nil {
		return c, err
	}
	m.countParameters(&c, objective)
	m.countWriting(&c, objective.Layout.PatchSize, context)
	return c, m.countTraining(&c, objective)
}

// countTraining counts a step, and the steps that are made and planned.
func (m *Model) countTraining(c *Cost, o *train.Objective) error {
	batches := float64(m.GradientAccumulationSteps)
	c.Step = flops.Training(o.Graph).Times(batches)
	c.StepToken = c.Step.Total() / batches / float64(m.BatchSize*m.BlockSize)
	if o.Auxiliary != nil {
		c.TokenUntil = o.Auxiliary.Until
		c.TokenLoss = c.Step.Plus(flops.Training(o.Auxiliary.Without()).Times(-batches))
	}
	without, err := m.stepsMade(c, o)
	if err != nil {
		return err
	}
	steps := func(all, without int) float64 {
		return float64(all)*c.Step.Total() - float64(without)*c.TokenLoss.Total()
	}
	c.SoFar, c.Planned = steps(c.Steps, without), steps(c.Steps, without)
	if left := c.MaxSteps - c.Steps; left > 0 {
		off := 0
		if o.Auxiliary != nil {
			off = min(left, c.MaxSteps-o.Auxiliary.Steps(c.MaxSteps))
		}
		c.Planned += steps(left, off)
	}
	return nil
}

// stepsMade sets the number of steps of the run, and says how many of them were made after token_loss_until.
func (m *Model) stepsMade(c *Cost, o *train.Objective) (without int, err error) {
	if m.Dir == "" {
		return 0, nil
	}
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return 0, err
	}
	steps, err := r.Steps()
	if err != nil || len(steps) == 0 {
		return 0, err
	}
	c.Steps = steps[len(steps)-1]
	if o.Auxiliary == nil || o.Auxiliary.Until >= 1 {
		return 0, nil
	}
	return train.WithoutAuxiliary(r)
}

// countWriting counts a token written, or of an autoencoder encoded and decoded.
func (m *Model) countWriting(c *Cost, patch, context int) {
	if context == 0 {
		context = m.BlockSize / patch
	}
	if m.Writes() {
		c.Context = context
	}
	for _, part := range m.Network.Use(context) {
		n := part.Count().Total() / float64(patch)
		if last := len(c.Token) - 1; last >= 0 && c.Token[last].Name == part.Name { // a head of several programs
			c.Token[last].N += n
			continue
		}
		c.Token = append(c.Token, Amount{part.Name, n})
	}
}

func (m *Model) countParameters(c *Cost, o *train.Objective) {
	at := map[string]int{}
	for _, p := range m.Params.All() {
		name := m.Network.Part(p.Name)
		if _, ok := at[name]; !ok {
			at[name] = len(c.Parameters)
			c.Parameters = append(c.Parameters, Amount{Name: name})
		}
		c.Parameters[at[name]].N += float64(p.Size())
		if o.Auxiliary != nil && slices.Contains(o.Auxiliary.Params, p) {
			continue
		}
		c.Kept += p.Size()
		if p.Trainable() {
			c.Trained += p.Size()
		}
	}
}

// TokenTotal returns the FLOPs of a token written, of all parts.
func (c Cost) TokenTotal() (sum float64) {
	for _, part := range c.Token {
		sum += part.N
	}
	return sum
}
