package run_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// costOf checks the FLOPs of the run in dir: of its n steps, of which with have the token loss, and of the planned steps, of
// which plannedWith have it.
func costOf(t *testing.T, dir string, n, with, planned, plannedWith int) {
	t.Helper()
	m, err := run.Describe(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Cost(0)
	if err != nil {
		t.Fatal(err)
	}
	// The token loss takes 6 KVD FLOPs for each position (docs/flops.md).
	l := m.Network.(*lm.Model).Config
	k := l.PatchSize
	positions := m.GradientAccumulationSteps * m.BatchSize * (m.BlockSize/k - 1)
	loss := 6 * float64(positions*k*l.VocabSize*l.HiddenSize)
	same := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-9*want) {
			t.Errorf("%s of %d steps, %d planned: %v, want %v", what, n, planned, got, want)
		}
	}
	same("the token loss", c.TokenLoss.Total(), loss)
	if c.Steps != n || c.TokenLoss.Attention != 0 || loss >= c.Step.Total() {
		t.Errorf("%d steps, %d made: %+v", c.Steps, n, c)
	}
	plain := c.Step.Total() - loss
	same("so far", c.SoFar, float64(n)*plain+float64(with)*loss)
	same("planned", c.Planned, float64(planned)*plain+float64(plannedWith)*loss)
}

// tinyTokenLoss trains an autoencoder and returns the options of a language model on it, with the given token_loss_until.
func tinyTokenLoss(t *testing.T, until float64) run.Options {
	t.Helper()
	text := tinyText(t)
	ae := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "ae"), Set: tinyAE, Data: []string{text}, Steps: 2}
	trainTo(t, 1, 0, ae)
	return run.Options{Kind: run.LM, Out: filepath.Join(t.TempDir(), "lm"), Data: []string{text}, AE: ae.Out,
		Set: append(slices.Clone(tinyLM), "token_loss_weight=1", fmt.Sprintf("token_loss_until=%g", until), "eval_steps=0", "save_steps=0")}
}

// TestCostOfTokenLoss checks that steps after token_loss_until are counted without the token loss. Steps already made count as
// they were made, even if the run has been given another number of steps since.
func TestCostOfTokenLoss(t *testing.T) {
	o := tinyTokenLoss(t, .5)
	o.Set = append(o.Set, "gradient_accumulation_steps=2")
	for _, c := range []struct{ steps, stopAt, n, with, plannedWith int }{
		{5, 2, 2, 2, 3}, // step s has the loss while s < 2.5
		{5, 4, 4, 3, 3},
		{5, 0, 5, 3, 3},
		{9, 7, 7, 3, 3},   // while s < 4.5: none of the steps left
		{20, 0, 20, 6, 6}, // while s < 10: 7, 8 and 9
		{20, 0, 20, 6, 6},
	} {
		o.Steps = c.steps
		trainTo(t, 1, c.stopAt, o)
		costOf(t, o.Out, c.n, c.with, max(c.n, c.steps), c.plannedWith)
	}
}

// TestCostOfPreset checks that the cost of a preset has no steps made so far and all steps planned.
func TestCostOfPreset(t *testing.T) {
	for _, c := range []struct {
		weight, until string
		with          float64 // steps of 1000 that have the token loss
	}{{"4", "1", 1000}, {"4", "0.67", 670}, {"4", "0.0001", 1}, {"0", "0.5", 0}} {
		m, err := run.Shape("quickstart", run.LM, true, []string{"max_steps=1000", "token_loss_weight=" + c.weight, "token_loss_until=" + c.until})
		if err != nil {
			t.Fatal(err)
		}
		cost, err := m.Cost(0)
		if err != nil {
			t.Fatal(err)
		}
		want := 1000*(cost.Step.Total()-cost.TokenLoss.Total()) + c.with*cost.TokenLoss.Total()
		if math.Abs(cost.Planned-want) > 1e-9*want || cost.SoFar != 0 || (cost.TokenLoss.Total() > 0) != (c.weight == "4") {
			t.Errorf("weight %s until %s: %+v, want %v planned", c.weight, c.until, cost, want)
		}
	}
}

// TestTokenLossByTheClock checks token_loss_until under max_minutes: the number of steps is decided before the token loss ends,
// and the token loss ends at the step that follows from that number. The cost counts it so.
func TestTokenLossByTheClock(t *testing.T) {
	const until = .3
	o := tinyTokenLoss(t, until)
	o.Minutes = .5 / 60
	out := trainTo(t, 1, 0, o)
	state := stateOf(t, o.Out, out.Steps)
	if !out.Finished || len(state.Decisions) != 1 {
		t.Fatalf("%+v with the decisions %v", out, state.Decisions)
	}
	d := state.Decisions[0]
	if d.Seconds < until*.5 || d.Total != out.Steps {
		t.Errorf("decided on %d of %d steps after %g s", d.Total, out.Steps, d.Seconds)
	}
	off := max(float64(d.Step), until*float64(d.Total)) // the first step, from 0, without the token loss
	lines, with := 0, 0
	for line, err := range train.ReadMetrics(o.Out) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Kind != train.EventStep {
			continue
		}
		lines++
		_, on := line.Values["token_loss"]
		if step := float64(line.Step - 1); on != (step < off) {
			t.Errorf("step %v of %d: with the token loss: %t; it should end at %v", step, d.Total, on, off)
		} else if on {
			with++
		}
	}
	if lines != out.Steps || with == 0 || with == lines {
		t.Errorf("%d of %d steps have the token loss, %d were made", with, lines, out.Steps)
	}
	costOf(t, o.Out, out.Steps, with, out.Steps, with)
}
