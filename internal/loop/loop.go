// Package loop trains in a run directory: steps, measurements, checkpoints and metrics, until the run is finished or is stopped.
// A run that was stopped and resumed equals one that was not stopped, bit for bit.
package loop

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/train"
)

// Loop trains in a run directory until max_steps or max_minutes are reached or the context ends.
type Loop struct {
	Trainer *train.Trainer     // makes the steps
	Batches *corpus.Batches    // the training text
	Run     *checkpoint.Run    // where checkpoints and metrics are written; nil: nowhere
	Data    corpus.Fingerprint // fingerprint of the text that Batches come from

	// Evaluate measures the model on held-out text; nil: no measurements. Its random draws must not depend on training's.
	Evaluate func(ctx context.Context) ([]metric.Metric, error)
	// Progress is called with every event, on the goroutine that trains; nil: not called.
	Progress func(train.Event)

	state    State
	started  time.Time
	spent    float64         // seconds of training before this process
	measured []metric.Metric // the last measurement
	meter    meter
	noted    bool // what changed on resuming is in metrics.jsonl
	unsaved  bool // a checkpoint could not be written: a second attempt would fail too
}

// total returns the number of steps of the whole run, or 0 where it is not known yet.
func (l *Loop) total() int {
	total := l.Trainer.Config.MaxSteps
	if n := len(l.state.Decisions); n > 0 {
		decided := l.state.Decisions[n-1].Total
		if total == 0 || decided < total {
			total = decided
		}
	}
	return total
}

func (l *Loop) seconds() float64 { return l.spent + time.Since(l.started).Seconds() }

// Do trains to the end. It changes nothing in a finished run. The steps made are saved however training ends: by the end of
// the context (the error is nil then, and Outcome.Finished is false), by an error of a step, a measurement or writing
// metrics, or by a panic of Progress or Evaluate. After a *train.DivergedError the weights before the failed step are saved. They
// are usually bad already, so Resume continues from the checkpoint before them.
func (l *Loop) Do(ctx context.Context) (train.Outcome, error) {
	l.started, l.measured, l.unsaved = time.Now(), nil, false
	l.state.Data, l.state.MaxSteps = l.Data, l.Trainer.Config.MaxSteps
	c := l.Trainer.Config
	l.meter = meter{tokens: c.BatchSize * c.BlockSize * c.GradientAccumulationSteps}
	if l.complete() {
		l.state.Finished = true
		return l.outcome(), nil
	}
	err := l.train(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	_, l.state.Diverged = errors.AsType[*train.DivergedError](err)
	if !l.unsaved {
		err = errors.Join(err, l.save())
	}
	if err == nil {
		l.tell(l.event(train.EventSaved, train.Report{Step: l.Trainer.Steps()}, 0))
	}
	return l.outcome(), err
}

// train makes the remaining steps, and the measurements and checkpoints between them.
func (l *Loop) train(ctx context.Context) error {
	if err := l.note(); err != nil {
		return err
	}
	if err := l.makeUp(ctx); err != nil {
		return err
	}
	for !l.over() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.step(ctx); err != nil {
			return err
		}
		if l.over() {
			break // the last measurement and the last checkpoint are always made
		}
		if l.due(l.Trainer.Config.EvalSteps) {
			if err := l.measure(ctx); err != nil {
				return err
			}
		}
		if l.due(l.Trainer.Config.SaveSteps) {
			if err := l.checkpoint(); err != nil {
				return err
			}
		}
	}
	if l.state.Measured != l.Trainer.Steps() {
		if err := l.measure(ctx); err != nil {
			return err
		}
	}
	l.state.Finished = true
	return nil
}

// note records the changes and decisions that apply from the next step on. Their lines of metrics carry the first step
// that they apply to, so that resuming before that step removes them.
func (l *Loop) note() error {
	if l.noted {
		return nil
	}
	l.noted = true
	next := l.Trainer.Steps() + 1
	var errs []error
	for _, c := range l.state.Changes {
		if c.Step == next {
			e := l.event(train.EventChanged, train.Report{Step: next}, 0)
			e.Changed = &c
			errs = append(errs, l.record(e))
		}
	}
	for _, d := range l.state.Decisions {
		if d.Step+1 == next {
			errs = append(errs, l.recordDecision(d))
		}
	}
	return errors.Join(errs...)
}

// makeUp makes the measurement that a stopped run missed, so that its metrics equal those of a run that was not stopped.
// The checkpoint after it keeps the next resume from measuring again.
func (l *Loop) makeUp(ctx context.Context) error {
	if l.over() || !l.due(l.Trainer.Config.EvalSteps) || l.Trainer.Steps() <= l.state.Measured {
		return nil
	}
	if err := l.measure(ctx); err != nil {
		return err
	}
	return l.checkpoint()
}

// step makes a step and records it. After an error the batches are back at the position before the step.
func (l *Loop) step(ctx context.Context) error {
	if err := l.decide(); err != nil {
		return err
	}
	before := l.Batches.Position()
	report, err := l.Trainer.Step(l.scheduled(), func(dst []int32) error {
		if ctx.Err() != nil { // checked here too, since a step may have many batches
			return ctx.Err()
		}
		return l.Batches.Next(dst)
	})
	if err != nil {
		if back := l.Batches.Seek(before); back != nil {
			return fmt.Errorf("%v; and then: %w", err, back)
		}
		return err
	}
	if report.Without {
		l.state.Without++
	}
	return l.record(l.event(train.EventStep, report, l.meter.step(l.seconds())))
}

// measure evaluates the model and records the result. The time it takes does not count as training.
func (l *Loop) measure(ctx context.Context) error {
	if l.Evaluate == nil {
		l.state.Measured = l.Trainer.Steps()
		return nil
	}
	begun := time.Now()
	var metrics []metric.Metric
	var err error
	l.guard(func() { metrics, err = l.Evaluate(ctx) })
	l.started = l.started.Add(time.Since(begun))
	if err != nil {
		return err
	}
	e := l.event(train.EventMeasured, train.Report{Step: l.Trainer.Steps()}, 0)
	e.Measured = metrics
	if err := l.record(e); err != nil {
		return err
	}
	l.measured, l.state.Measured = metrics, l.Trainer.Steps()
	return nil
}

// checkpoint writes a checkpoint during training and reports it.
func (l *Loop) checkpoint() error {
	if err := l.save(); err != nil {
		return err
	}
	l.tell(l.event(train.EventSaved, train.Report{Step: l.Trainer.Steps()}, 0))
	return nil
}

// save writes a checkpoint.
func (l *Loop) save() error {
	if l.Run == nil {
		return nil
	}
	l.state.Position, l.state.Seconds, l.state.Config = l.Batches.Position(), l.seconds(), byKey(l.Trainer.Config)
	files := checkpoint.State{Trainer: l.state}
	for _, t := range l.Trainer.State() {
		tensor := checkpoint.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data}
		if t.TrainingOnly {
			files.Optimizer = append(files.Optimizer, tensor)
		} else {
			files.Model = append(files.Model, tensor)
		}
	}
	err := l.Run.Save(l.Trainer.Steps(), files)
	l.unsaved = err != nil
	return err
}

func (l *Loop) outcome() train.Outcome {
	return train.Outcome{Steps: l.Trainer.Steps(), Seconds: l.seconds(), Finished: l.state.Finished, Measured: l.measured}
}

func (l *Loop) due(every int) bool { return every > 0 && l.Trainer.Steps()%every == 0 }

// complete reports whether nothing is left to do: all steps and the last measurement are made, or the run has more steps
// than max_steps.
func (l *Loop) complete() bool {
	return l.state.Finished || l.over() && (l.Trainer.Steps() > l.total() || l.state.Measured == l.Trainer.Steps())
}

// over reports whether all steps are made.
func (l *Loop) over() bool {
	if l.state.Finished {
		return true
	}
	total := l.total()
	return total > 0 && l.Trainer.Steps() >= total
}

// scheduled returns the number of steps that the learning-rate schedule uses; 0: not known yet.
func (l *Loop) scheduled() int {
	if l.Trainer.Config.MaxMinutes > 0 && len(l.state.Decisions) == 0 {
		return 0
	}
	return l.total()
}

// decide fixes the number of steps of a run with max_minutes as soon as the schedule needs it. It uses the speed since
// max_minutes was set. If it was set on resuming, a tenth of the new minutes must have passed, since the earlier steps may
// have been made on another machine.
func (l *Loop) decide() error {
	budget, step, since := 60*l.Trainer.Config.MaxMinutes, l.Trainer.Steps(), l.state.Since
	if budget == 0 || len(l.state.Decisions) > 0 {
		return nil
	}
	seconds, at := l.seconds(), l.decideAt()*budget
	if since.Step > 0 {
		at = max(at, since.Seconds+.1*(budget-since.Seconds))
	}
	if seconds < at || step == since.Step {
		return nil
	}
	further := float64(step-since.Step) * (budget - seconds) / (seconds - since.Seconds)
	d := train.Decision{Step: step, Total: step + max(1, int(math.Round(further))), Seconds: seconds}
	if err := l.recordDecision(d); err != nil {
		return err
	}
	l.state.Decisions = append(l.state.Decisions, d)
	return nil
}

// recordDecision records a decision under the first step that it applies to.
func (l *Loop) recordDecision(d train.Decision) error {
	e := l.event(train.EventDecided, train.Report{Step: d.Step + 1}, 0)
	e.Total, e.Decided = d.Total, &d
	return l.record(e)
}

// decideAt returns the part of a time budget, in [0, 1), after which the number of steps must be known: where the learning rate
// begins to depend on it, or where auxiliary losses end. For the latter it is at least a tenth, since the speed over less is a
// poor estimate. Where nothing depends on the number of steps, it is shortly before the end.
func (l *Loop) decideAt() float64 {
	at, c := .95, l.Trainer.Config
	switch c.LRSchedulerType {
	case train.Cosine:
		at = .1
	case train.WarmupStableDecay:
		at = min(at, 1-c.DecayFraction)
	}
	if a := l.Trainer.Objective.Auxiliary; a != nil {
		at = min(at, max(.1, a.Until))
	}
	return at
}
