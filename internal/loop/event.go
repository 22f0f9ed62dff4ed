package loop

import "github.com/calm-go/calm/train"

// event returns an event of the loop. rate is the speed in tokens per second.
func (l *Loop) event(kind train.EventKind, r train.Report, rate float64) train.Event {
	e := train.Event{Kind: kind, Report: r, Total: l.total(), Seconds: l.seconds(), TokensPerSec: rate}
	switch done := float64(l.Trainer.Steps()); {
	case e.Total > 0 && done > 0:
		e.Remaining = max(0, e.Seconds/done*(float64(e.Total)-done))
	case l.Trainer.Config.MaxMinutes > 0:
		e.Remaining = max(0, 60*l.Trainer.Config.MaxMinutes-e.Seconds)
	}
	return e
}

// tell reports an event to Progress.
func (l *Loop) tell(e train.Event) {
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
func (l *Loop) record(e train.Event) error {
	if l.Run != nil && (e.Kind != train.EventStep || l.logs(e.Step)) {
		if err := l.Run.AppendMetrics(e); err != nil {
			return err
		}
	}
	l.tell(e)
	return nil
}

// logs reports whether a step has a line of metrics: the first step and multiples of logging_steps do.
func (l *Loop) logs(step int) bool { return step == 1 || step%l.Trainer.Config.LoggingSteps == 0 }

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
