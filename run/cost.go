package run

import (
	"slices"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/loop"
	"github.com/calm-go/calm/train"
)

// Cost is the size of a model and the number of floating-point operations (FLOPs) that it takes, as package flops counts
// them. docs/flops.md has the formulas.
type Cost struct {
	Parameters []Amount // number of parameters of each part
	Kept       int      // parameters of the model saved for use, including its autoencoder's
	Trained    int      // those of Kept that training changes

	Step       flops.Count // FLOPs of a training step, which has gradient_accumulation_steps batches
	StepToken  float64     // FLOPs of a training step for each token of its batches
	TokenLoss  flops.Count // FLOPs of the auxiliary token loss, part of Step; steps after token_loss_until do not have it
	TokenUntil float64     // token_loss_until: the share of the steps that have the token loss, in (0, 1]; 0 without one
	Steps      int         // steps made so far; 0 without a run
	MaxSteps   int         // max_steps, the steps in all; 0 where minutes decide
	SoFar      float64     // FLOPs of the steps made so far
	Planned    float64     // FLOPs of all steps: those made so far and those left up to MaxSteps

	Context int      // positions of the context in which a token is generated; 0 for an autoencoder
	Token   []Amount // FLOPs of each part for one token: generated, or by an autoencoder encoded and decoded
}

// Amount is the number of parameters or FLOPs of one part of a model.
type Amount struct {
	Name string  // the part, as Network.Part and flops.Part name it
	N    float64 // parameters or FLOPs
}

// Cost counts the parameters and FLOPs of the model, whose parameters need no values. context is the number of positions that
// a generated token attends to; 0 stands for those of a training block.
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

// countTraining counts the FLOPs of a step, of the steps made so far and of all planned steps.
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

// stepsMade sets the number of steps made so far, and returns how many of them were made after token_loss_until.
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
	state, err := loop.ReadState(r)
	return state.Without, err
}

// countWriting counts the FLOPs of a generated token, or with an autoencoder those of a token encoded and decoded.
func (m *Model) countWriting(c *Cost, patch, context int) {
	if context == 0 {
		context = m.BlockSize / patch
	}
	if m.Writes() {
		c.Context = context
	}
	for _, part := range m.Network.Use(context) {
		n := part.Count().Total() / float64(patch)
		if last := len(c.Token) - 1; last >= 0 && c.Token[last].Name == part.Name { // a head can have several programs
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

// TokenTotal returns the sum of Token: the FLOPs of all parts for one token.
func (c Cost) TokenTotal() (sum float64) {
	for _, part := range c.Token {
		sum += part.N
	}
	return sum
}
