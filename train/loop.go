package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/metric"
)

// Loop trains in a run directory until the steps or the minutes are over or the context ends.
type Loop struct {
	Trainer *Trainer
	Batches *corpus.Batches
	Run     *checkpoint.Run    // nil: nothing is written
	Data    corpus.Fingerprint // of the text that Batches come from

	// Evaluate measures the model on held-out text; nil: never. It must draw from streams of its own.
	Evaluate func(ctx context.Context) ([]metric.Metric, error)
	// Progress is told of every event; nil: nobody.
	Progress func(Event)

	state    loopState
	started  time.Time
	spent    float64         // seconds of training before this process
	measured []metric.Metric // what was measured last
	meter    meter
	noted    bool // what was changed on resuming stands in metrics.jsonl
	unsaved  bool // a checkpoint could not be written: another try would fail alike
}

// Outcome says how a Loop ended.
type Outcome struct {
	Steps    int             // made in all
	Seconds  float64         // of training in all, without measurements
	Finished bool            // false where the context or an error ended it
	Measured []metric.Metric // what was measured last; nil where nothing was
}

// total returns the number of steps of the run as far as it is known, else 0.
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

// Do trains to the end, and leaves a finished run alone. Whatever ends it, the steps made are saved: the end of the
// context, for which Outcome.Finished is unset and the error nil; an error of a step, of a measurement or of writing
// metrics; a panic of Progress or Evaluate. After a *DivergedError the weights before the step are saved, but as they are
// spoiled as a rule, Resume goes on from the checkpoint before.
func (l *Loop) Do(ctx context.Context) (Outcome, error) {
	l.started, l.measured, l.unsaved = time.Now(), nil, false
	l.state.Data, l.state.MaxSteps = l.Data, l.Trainer.Config.MaxSteps
	l.meter = meter{tokens: len(l.Trainer.batch) * l.Trainer.Config.GradientAccumulationSteps}
	if l.complete() {
		l.state.Finished = true
		return l.outcome(), nil
	}
	err := l.train(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	_, l.state.Diverged = errors.AsType[*DivergedError](err)
	if !l.unsaved {
		err = errors.Join(err, l.save())
	}
	if err == nil {
		l.tell(l.event(EventSaved, Report{Step: l.Trainer.Steps()}, 0))
	}
	return l.outcome(), err
}

// train makes the steps that are left, and what is due between them.
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
			break // the last measurement and the last checkpoint come whether they are due or not
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

// note records what was changed or decided where the run goes on. Lines of metrics stand under the first step that they
// hold for, so that resuming before that step cut them off.
func (l *Loop) note() error {
	if l.noted {
		return nil
	}
	l.noted = true
	next := l.Trainer.Steps() + 1
	var errs []error
	for _, c := range l.state.Changes {
		if c.Step == next {
			e := l.event(EventChanged, Report{Step: next}, 0)
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

// makeUp measures where a run was stopped before it could: its metrics are those of one that was not. The checkpoint
// that follows keeps another stop from measuring twice.
func (l *Loop) makeUp(ctx context.Context) error {
	if l.over() || !l.due(l.Trainer.Config.EvalSteps) || l.Trainer.Steps() <= l.state.Measured {
		return nil
	}
	if err := l.measure(ctx); err != nil {
		return err
	}
	return l.checkpoint()
}

// step makes a step and records it. One that fails was not made: the batches stand before it again.
func (l *Loop) step(ctx context.Context) error {
	if err := l.decide(); err != nil {
		return err
	}
	before := l.Batches.Position()
	report, err := l.Trainer.Step(l.scheduled(), func(dst []int32) error {
		if ctx.Err() != nil { // a step may be many batches
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
	return l.record(l.event(EventStep, report, l.meter.step(l.seconds())))
}

// measure evaluates the model and records it. The clock of the training stands still.
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
	e := l.event(EventMeasured, Report{Step: l.Trainer.Steps()}, 0)
	e.Measured = metrics
	if err := l.record(e); err != nil {
		return err
	}
	l.measured, l.state.Measured = metrics, l.Trainer.Steps()
	return nil
}

// checkpoint saves in the middle of training.
func (l *Loop) checkpoint() error {
	if err := l.save(); err != nil {
		return err
	}
	l.tell(l.event(EventSaved, Report{Step: l.Trainer.Steps()}, 0))
	return nil
}

// save writes a checkpoint.
func (l *Loop) save() error {
	if l.Run == nil {
		return nil
	}
	l.state.Position, l.state.Seconds, l.state.Config = l.Batches.Position(), l.seconds(), byKey(l.Trainer.Config)
	model, optimizer := l.Trainer.Tensors()
	err := l.Run.Save(l.Trainer.Steps(), checkpoint.State{Model: model, Optimizer: optimizer, Trainer: l.state})
	l.unsaved = err != nil
	return err
}

func (l *Loop) outcome() Outcome {
	return Outcome{Steps: l.Trainer.Steps(), Seconds: l.seconds(), Finished: l.state.Finished, Measured: l.measured}
}

func (l *Loop) due(every int) bool { return every > 0 && l.Trainer.Steps()%every == 0 }

// complete reports whether nothing is left to do, the last measurement included. So it is where max_steps is less than
// what the run has made.
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

// scheduled is the number of steps the learning rate goes by.
func (l *Loop) scheduled() int {
	if l.Trainer.Config.MaxMinutes > 0 && len(l.state.Decisions) == 0 {
		return 0
	}
	return l.total()
}

// decide fixes the number of steps of a run under max_minutes once the schedule has to know it, by the speed since the
// minutes were given. Where a run was given further ones, the tenth of these comes first: its past may have been on another
// machine.
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
	d := Decision{Step: step, Total: step + max(1, int(math.Round(further))), Seconds: seconds}
	if err := l.recordDecision(d); err != nil {
		return err
	}
	l.state.Decisions = append(l.state.Decisions, d)
	return nil
}

// recordDecision records a decision under the first step that it holds for.
func (l *Loop) recordDecision(d Decision) error {
	e := l.event(EventDecided, Report{Step: d.Step + 1}, 0)
	e.Total, e.Decided = d.Total, &d
	return l.record(e)
}

// decideAt is the part of a time budget after which the number of steps must be known, for the learning rate or for the
// end of auxiliary losses; a guess from less than a tenth of the time would be a poor one.
func (l *Loop) decideAt() float64 {
	at := l.Trainer.Config.decideAt()
	if a := l.Trainer.Objective.Auxiliary; a != nil {
		at = min(at, max(.1, a.Until))
	}
	return at
}
