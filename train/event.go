package train

import (
	"math"

	"github.com/calm-go/calm/metric"
)

// EventKind says what an Event tells of. Lines of metrics.jsonl carry it as "kind".
type EventKind string

// Kinds of events.
const (
	EventStep     EventKind = "step"     // a step was made
	EventMeasured EventKind = "measured" // the model was measured on held-out text
	EventSaved    EventKind = "saved"    // a checkpoint was written
	EventDecided  EventKind = "decided"  // a run under max_minutes fixed its number of steps
	EventChanged  EventKind = "changed"  // the run goes on with another value of a configuration key
)

// Event is something that happened in training. Steps are counted from 1: Step is the number of steps made when it
// happened, of EventDecided and EventChanged the first step that they hold for.
type Event struct {
	Kind EventKind

	Report                       // of the step, for EventStep; for other kinds only its Step is set
	Total        int             // steps of the run in all; 0 where that is not known yet
	Seconds      float64         // of training so far, without measurements
	Remaining    float64         // seconds of training that are left, an estimate; 0 where there is none
	TokensPerSec float64         // tokens a second of the last 20 steps or so, for EventStep; 0 after the first step
	Measured     []metric.Metric // for EventMeasured
	Decided      *Decision       // for EventDecided
	Changed      *Change         // for EventChanged
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

// tell passes an event on.
func (l *Loop) tell(e Event) {
	if l.Progress != nil {
		l.guard(func() { l.Progress(e) })
	}
}

// guard calls a function of the caller. Should it panic, the steps made are saved on the way out.
func (l *Loop) guard(call func()) {
	returned := false
	defer func() {
		if !returned && l.Trainer.Steps() > 0 {
			_ = l.save() // the panic says more
		}
	}()
	call()
	returned = true
}

// record writes an event into metrics.jsonl and tells of it.
func (l *Loop) record(e Event) error {
	if l.Run != nil && (e.Kind != EventStep || l.logs(e.Step)) {
		if err := l.Run.AppendMetrics(e.line()); err != nil {
			return err
		}
	}
	l.tell(e)
	return nil
}

// logs reports whether a step has a line of metrics: the first, and those that logging_steps divides.
func (l *Loop) logs(step int) bool { return step == 1 || step%l.Trainer.Config.LoggingSteps == 0 }

// line returns the event as it stands in metrics.jsonl.
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

// addMetrics adds metrics to a line. JSON has no infinities: what is not finite becomes null.
func addMetrics(line map[string]any, list []metric.Metric) {
	for _, f := range list {
		if line[f.Name] = f.Value; !finite(f.Value) {
			line[f.Name] = nil
		}
	}
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
