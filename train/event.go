package train

import (
	"math"

	"github.com/calm-go/calm/metric"
)

// EventKind says what happened. Lines of metrics.jsonl have it under the key "kind".
type EventKind string

// Kinds of events.
const (
	EventStep     EventKind = "step"     // a step was made
	EventMeasured EventKind = "measured" // the model was measured on held-out text
	EventSaved    EventKind = "saved"    // a checkpoint was written; has no line in metrics.jsonl
	EventDecided  EventKind = "decided"  // a run with max_minutes fixed its number of steps
	EventChanged  EventKind = "changed"  // the run continues with another value of a configuration key
)

// Event is something that happened in training. Its Step is the number of steps made when it happened. For EventDecided
// and EventChanged it is the first step, from 1, that the new value applies to.
type Event struct {
	Kind EventKind

	Report                       // what the step did, for EventStep; for other kinds only Step is set
	Total        int             // steps of the whole run; 0: not known yet
	Seconds      float64         // seconds of training so far, without measurements
	Remaining    float64         // estimated seconds of training left; 0: no estimate
	TokensPerSec float64         // tokens per second over about the last 20 steps, for EventStep; 0 after the first step
	Measured     []metric.Metric // what was measured, for EventMeasured
	Decided      *Decision       // for EventDecided; else nil
	Changed      *Change         // for EventChanged; else nil
}

func (l *Loop) event(kind EventKind, r Report, rate float64) Event {
	e := Event{Kind: kind, Report: r, Total: l.total(), Seconds: l.seconds(), TokensPerSec: rate}
	switch done := float64(l.Trainer.Steps()); {
	case e.Total > 0 && done > 0:
		e.Remaining = max(0, e.Seconds/done*(float64(e.Total)-done))
	case l.Trainer.Config.MaxMinutes > 0:
		e.Remaining = max(0, 60*l.Trainer.Config.MaxMinutes-e.Seconds)
	}
	return e
}

// tell reports an event to Progress.
func (l *Loop) tell(e Event) {
	if l.Progress != nil {
		l.guard(func() { l.Progress(e) })
	}
}

// guard calls a function that the caller provided. If it panics, the steps made are saved before the panic goes on.
func (l *Loop) guard(call func()) {
	returned := false
	defer func() {
		if !returned && l.Trainer.Steps() > 0 {
			_ = l.save() // the panic matters more than an error here
		}
	}()
	call()
	returned = true
}

// record writes an event to metrics.jsonl and reports it to Progress.
func (l *Loop) record(e Event) error {
	if l.Run != nil && (e.Kind != EventStep || l.logs(e.Step)) {
		if err := l.Run.AppendMetrics(e.line()); err != nil {
			return err
		}
	}
	l.tell(e)
	return nil
}

// logs reports whether a step has a line of metrics: the first step and multiples of logging_steps do.
func (l *Loop) logs(step int) bool { return step == 1 || step%l.Trainer.Config.LoggingSteps == 0 }

// line returns the event's line in metrics.jsonl, by key.
func (e Event) line() map[string]any {
	line := map[string]any{"kind": e.Kind, "step": e.Step}
	switch e.Kind {
	case EventStep:
		line["loss"], line["grad_norm"], line["learning_rate"] = e.Loss, e.GradNorm, e.LearningRate
		line["tokens_per_s"], line["seconds"] = math.Round(e.TokensPerSec), math.Round(e.Seconds*100)/100
		addMetrics(line, e.Metrics)
	case EventMeasured:
		addMetrics(line, e.Measured)
	case EventDecided:
		line["decided_steps"], line["seconds"] = e.Decided.Total, e.Decided.Seconds
	case EventChanged:
		line["key"], line["old"], line["new"] = e.Changed.Key, e.Changed.Old, e.Changed.New
	}
	return line
}

// addMetrics adds metrics to a line. A value that is not finite becomes null, since JSON has no infinities.
func addMetrics(line map[string]any, list []metric.Metric) {
	for _, m := range list {
		if line[m.Name] = m.Value; !finite(m.Value) {
			line[m.Name] = nil
		}
	}
}

// meter measures tokens per second, as an exponential moving average over steps.
type meter struct {
	tokens int     // of a step
	last   float64 // seconds of training after the last step; 0: there was none
	rate   float64 // tokens per second
}

// step returns the rate after a step that ended after now seconds of training.
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
