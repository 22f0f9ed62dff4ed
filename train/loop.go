package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/corpus"
)

// Loop trains in a run directory until the steps or the minutes are over or the context ends.
type Loop struct {
	Trainer *Trainer
	Batches *corpus.Batches
	Run     *checkpoint.Run // nil: nothing is written
	Data    corpus.Fingerprint

	// Evaluate measures the model on held-out text; nil: never. It must draw from streams of its own.
	Evaluate func(ctx context.Context) ([]Figure, error)
	// Progress is told of every step and every measurement; nil: nobody.
	Progress func(Event)

	state   loopState
	started time.Time
	before  float64 // seconds of training before this process
	meter   meter
}

// Event is a step made, or, if Measured is set, a measurement after it.
type Event struct {
	Report
	Total        int     // steps of the run as far as is known, else 0
	Seconds      float64 // of training so far
	Remaining    float64 // seconds, as far as can be told, else 0
	TokensPerSec float64 // of late
	Measured     []Figure
	Saved        bool // a checkpoint has been written
}

// loopState is the trainer's part of a checkpoint.
type loopState struct {
	Position  corpus.Position    `json:"position"`
	Data      corpus.Fingerprint `json:"data"`
	Seconds   float64            `json:"seconds"`   // of training
	Decisions []Decision         `json:"decisions"` // of a run under max_minutes
	MaxSteps  int                `json:"max_steps"` // that it was to make
	Measured  int                `json:"measured"`  // the step after which it was last measured
	Finished  bool               `json:"finished"`
	Without   int                `json:"without_auxiliary,omitzero"` // steps made with auxiliary losses off
}

// WithoutAuxiliary returns how many of a run's steps were made with auxiliary losses off; 0 of one from before they were
// counted. The error is checkpoint.ErrNoCheckpoint where it has no checkpoint.
func WithoutAuxiliary(r *checkpoint.Run) (int, error) {
	var s loopState
	err := r.Trainer(&s)
	return s.Without, err
}

// Decision is what a run under max_minutes decided by the clock: at step Step it was to make Total steps in all. With
// its decisions written down, a run can be repeated and resumed.
type Decision struct {
	Step    int     `json:"step"`
	Total   int     `json:"total"`
	Seconds float64 `json:"seconds"`
}

// Outcome says how a Loop ended.
type Outcome struct {
	Steps    int
	Seconds  float64
	Finished bool // false where the context ended it
	Measured []Figure
}

// ErrData says that a run is to go on with another text than it began with.
var ErrData = errors.New("the data has changed since the run began")

// TrainedOn returns the fingerprint of the text that a run trains on, which stands in its checkpoints. The error is
// checkpoint.ErrNoCheckpoint where it has none.
func TrainedOn(r *checkpoint.Run) (corpus.Fingerprint, error) {
	var s loopState
	err := r.Trainer(&s)
	return s.Data, err
}

// Resume takes up the newest checkpoint of the run, if there is one.
func (l *Loop) Resume() (warnings []string, err error) {
	saved, err := l.Run.Latest()
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		_, err := l.Run.TrimMetrics(-1)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	if err := saved.Trainer(&l.state); err != nil {
		return nil, err
	}
	if l.state.Data != l.Data {
		return nil, fmt.Errorf("%w (fingerprint %.12s, not %.12s): put back what it was", ErrData, l.Data, l.state.Data)
	}
	if err := l.Batches.Seek(l.state.Position); err != nil {
		return nil, err
	}
	if err := l.Trainer.Restore(saved.Step, saved.Model, saved.Optimizer); err != nil {
		return nil, err
	}
	l.before = l.state.Seconds
	l.askedAnew()
	_, err = l.Run.TrimMetrics(saved.Step)
	return saved.Warnings, err
}

// Finished reports whether the run was finished before, and still is with the steps it is given now.
func (l *Loop) Finished() bool { return l.state.Finished }

// askedAnew takes up that the run has been given another number of steps than when the checkpoint was made. Where steps
// count and no minutes, what the clock decided is void. A run that is finished stays so unless it is to make more steps
// than it has made.
func (l *Loop) askedAnew() {
	other := l.Trainer.Config.MaxMinutes == 0 && len(l.state.Decisions) > 0 || l.Trainer.Config.MaxSteps != l.state.MaxSteps
	if more := l.Trainer.Config.MaxSteps == 0 || l.Trainer.Config.MaxSteps > l.Trainer.Steps(); other && more {
		l.state.Finished = false
	}
	if l.Trainer.Config.MaxMinutes == 0 {
		l.state.Decisions = nil
	}
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

func (l *Loop) seconds() float64 { return l.before + time.Since(l.started).Seconds() }

// Do trains. When the context ends it saves and returns with Finished unset and no error. A run that is finished is
// left alone, unless max_steps has been raised.
func (l *Loop) Do(ctx context.Context) (out Outcome, err error) {
	l.started = time.Now()
	l.state.Data, l.state.MaxSteps = l.Data, l.Trainer.Config.MaxSteps
	if l.complete() {
		l.state.Finished = true
		return l.outcome(nil), nil
	}
	l.meter = meter{tokens: len(l.Trainer.batch) * l.Trainer.Config.GradientAccumulationSteps}
	for ctx.Err() == nil && !l.over() {
		// A run that was stopped while it measured does so now: its metrics are those of one that was not.
		if l.due(l.Trainer.Config.EvalSteps) && l.Trainer.Steps() > l.state.Measured {
			if out.Measured, err = l.measure(ctx, l.event(Report{Step: l.Trainer.Steps() - 1}, 0)); err != nil {
				if ctx.Err() != nil {
					break
				}
				return l.outcome(nil), err
			}
		}
		event, err := l.step(ctx)
		if ctx.Err() != nil && err == ctx.Err() {
			break
		}
		if err != nil {
			return l.outcome(nil), err
		}
		if l.due(l.Trainer.Config.EvalSteps) && !l.over() {
			if out.Measured, err = l.measure(ctx, event); err != nil {
				if ctx.Err() != nil {
					break
				}
				return l.outcome(nil), errors.Join(err, l.save())
			}
		}
		if l.due(l.Trainer.Config.SaveSteps) && !l.over() {
			if err := l.save(); err != nil {
				return l.outcome(out.Measured), err
			}
			l.tell(Event{Report: Report{Step: event.Step}, Saved: true})
		}
	}
	return l.finish(ctx, out.Measured)
}

// step makes a step and writes it down. One that fails was not made: what is saved stands before its batch.
func (l *Loop) step(ctx context.Context) (Event, error) {
	if err := l.decide(); err != nil {
		return Event{}, err
	}
	before := l.Batches.Position()
	report, err := l.Trainer.Step(l.scheduled(), func(dst []int32) error {
		if ctx.Err() != nil { // a step may be many batches
			return ctx.Err()
		}
		return l.Batches.Next(dst)
	})
	if err != nil {
		back := l.Batches.Seek(before)
		if err == ctx.Err() && back == nil {
			return Event{}, err
		}
		return Event{}, errors.Join(err, back, l.save())
	}
	if report.Without {
		l.state.Without++
	}
	e := l.event(report, l.meter.step(l.seconds()))
	return e, l.log(e)
}

// finish measures, if that has not been done since the last step, and saves; where ctx ended before all steps were made
// it only saves.
func (l *Loop) finish(ctx context.Context, measured []Figure) (out Outcome, err error) {
	if ctx.Err() != nil && !l.over() {
		return l.outcome(measured), l.save()
	}
	if l.state.Measured != l.Trainer.Steps() {
		if measured, err = l.measure(ctx, l.event(Report{Step: l.Trainer.Steps() - 1}, 0)); err != nil {
			if ctx.Err() != nil { // all steps are made, and resuming measures
				err = nil
			}
			return l.outcome(nil), errors.Join(err, l.save())
		}
	}
	l.state.Finished = true
	return l.outcome(measured), l.save()
}

func (l *Loop) outcome(measured []Figure) Outcome {
	return Outcome{Steps: l.Trainer.Steps(), Seconds: l.seconds(), Finished: l.state.Finished, Measured: measured}
}

func (l *Loop) due(every int) bool { return every > 0 && l.Trainer.Steps()%every == 0 }

// complete reports whether nothing is left to do, the last measurement included. A run that was shortened to fewer steps
// than it has made is complete.
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

// decide fixes the number of steps of a run under max_minutes once the schedule has to know it.
func (l *Loop) decide() error {
	budget, step := 60*l.Trainer.Config.MaxMinutes, l.Trainer.Steps()
	if budget == 0 || len(l.state.Decisions) > 0 {
		return nil
	}
	seconds := l.seconds()
	if seconds < l.decideAt()*budget || step == 0 {
		return nil
	}
	total := max(step+1, int(math.Round(float64(step)*budget/seconds)))
	l.state.Decisions = append(l.state.Decisions, Decision{Step: step, Total: total, Seconds: seconds})
	if l.Run == nil {
		return nil
	}
	// Under the first step it holds for: resuming from a checkpoint before that step decides anew.
	return l.Run.AppendMetrics(map[string]any{"step": step + 1, "decided_steps": total, "seconds": seconds})
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

func (l *Loop) event(r Report, rate float64) Event {
	e := Event{Report: r, Total: l.total(), Seconds: l.seconds(), TokensPerSec: rate}
	switch done := float64(l.Trainer.Steps()); {
	case e.Total > 0:
		e.Remaining = e.Seconds / done * (float64(e.Total) - done)
	case l.Trainer.Config.MaxMinutes > 0:
		e.Remaining = max(0, 60*l.Trainer.Config.MaxMinutes-e.Seconds)
	}
	return e
}

// log writes a line of metrics for a step, if it is due, and tells of it.
func (l *Loop) log(e Event) error {
	l.tell(e)
	if l.Run == nil || e.Step%l.Trainer.Config.LoggingSteps != 0 {
		return nil
	}
	line := map[string]any{"step": e.Step + 1, "loss": e.Loss, "grad_norm": e.GradNorm, "learning_rate": e.LearningRate,
		"tokens_per_s": math.Round(e.TokensPerSec), "seconds": math.Round(e.Seconds*100) / 100}
	for _, f := range e.Figures {
		line[f.Name] = f.Value
	}
	return l.Run.AppendMetrics(line)
}

func (l *Loop) tell(e Event) {
	if l.Progress != nil {
		l.Progress(e)
	}
}

// measure evaluates the model, writes the figures down and tells of them. The clock of the training stands still.
func (l *Loop) measure(ctx context.Context, e Event) ([]Figure, error) {
	if l.Evaluate == nil {
		l.state.Measured = l.Trainer.Steps()
		return nil, nil
	}
	begun := time.Now()
	figures, err := l.Evaluate(ctx)
	l.started = l.started.Add(time.Since(begun))
	if err != nil {
		return nil, err
	}
	l.state.Measured = l.Trainer.Steps()
	e.Measured = figures
	l.tell(e)
	if l.Run == nil {
		return figures, nil
	}
	line := map[string]any{"step": l.Trainer.Steps(), "measured": true}
	for _, f := range figures {
		line[f.Name] = f.Value
	}
	return figures, l.Run.AppendMetrics(line)
}

func (l *Loop) save() error {
	if l.Run == nil {
		return nil
	}
	l.state.Position = l.Batches.Position()
	l.state.Seconds = l.seconds()
	model, optimizer := l.Trainer.Tensors()
	return l.Run.Save(l.Trainer.Steps(), checkpoint.State{Model: model, Optimizer: optimizer, Trainer: l.state})
}

// meter measures tokens a second over the last steps.
type meter struct {
	tokens int // a step
	last   float64
	rate   float64
}

func (m *meter) step(now float64) float64 {
	if took := now - m.last; m.last > 0 && took > 0 {
		const weight = .05
		rate := float64(m.tokens) / took
		if m.rate == 0 {
			m.rate = rate
		}
		m.rate += weight * (rate - m.rate)
	}
	m.last = now
	return m.rate
}
