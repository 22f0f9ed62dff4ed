package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/calm-go/calm/internal/terminal"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/train"
)

// progress shows the progress of a computation. On a terminal it is a line that is overwritten; elsewhere it is a new line from
// time to time. Measurements have their own lines.
type progress struct {
	*terminal.Status
	name  string
	shown time.Time // time of the last line
}

func newProgress(w io.Writer, name string) *progress {
	return &progress{Status: terminal.NewStatus(w), name: name}
}

// event shows an event of a training.
func (p *progress) event(e train.Event) {
	switch e.Kind {
	case train.EventMeasured:
		p.Print(p.measured(e))
	case train.EventStep:
		if p.due(e.Step == 1) {
			p.show(step(e)...)
		}
	case train.EventChanged:
		p.Print(fmt.Sprintf("%s %s", p.name, e.Changed))
	}
}

// show writes a line. The most important parts come first.
func (p *progress) show(parts ...string) {
	p.shown = time.Now()
	p.Show(p.name, parts...)
}

// due reports whether it is time for the next line.
func (p *progress) due(first bool) bool {
	every := 200 * time.Millisecond
	if !p.Over() {
		every = 15 * time.Second
	}
	return first || time.Since(p.shown) >= every
}

// blocks shows that a computation begins, and returns a function that shows how many blocks of a text are done.
func (p *progress) blocks() func(done, total int) {
	begun := time.Now()
	if p.shown = begun; p.Over() {
		p.show("starting")
	}
	return func(done, total int) {
		if p.due(done == total && p.Over()) {
			left := time.Since(begun).Seconds() / float64(done) * float64(total-done)
			p.show(fmt.Sprintf("block %d/%d", done, total), seconds(left)+" left")
		}
	}
}

// step describes a step, with the most important parts first.
func step(e train.Event) []string {
	at := fmt.Sprintf("step %d", e.Step)
	if e.Total > 0 {
		at += fmt.Sprintf("/%d", e.Total)
	}
	parts := []string{at, "loss " + number(e.Loss)}
	if e.Remaining > 0 {
		parts = append(parts, seconds(e.Remaining)+" left")
	}
	if e.TokensPerSec > 0 {
		parts = append(parts, number(math.Round(e.TokensPerSec))+" tokens/s")
	}
	for _, f := range e.Metrics {
		if !strings.HasPrefix(f.Name, "token_brier_") || f.Name == metric.TokenBrier(0) { // only the first: the line is short
			parts = append(parts, named(f))
		}
	}
	return parts
}

// measured formats a measurement on held-out text as a line.
func (p *progress) measured(e train.Event) string {
	var all []string
	for _, f := range e.Measured {
		all = append(all, named(f))
	}
	return fmt.Sprintf("%s step %d, held out: %s", p.name, e.Step, strings.Join(all, ", "))
}

// named formats a metric with its name.
func named(f metric.Metric) string { return strings.ReplaceAll(f.Name, "_", " ") + " " + value(f) }

// notMeasurable is shown in place of BrierLM where it has no value. BrierLM is the geometric mean of four scores, which must
// all be positive. whyNot is added where there is room.
const (
	notMeasurable = "not measurable"
	whyNot        = ": a Brier score is not above 0"
)

// value formats a metric's value.
func value(f metric.Metric) string {
	if f.Name == metric.BrierLM && math.IsNaN(f.Value) {
		return notMeasurable
	}
	return number(f.Value)
}

// number formats a number with few digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e7:
		return fmt.Sprintf("%.0f", v)
	case a >= 100:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// seconds formats a duration, given in seconds.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func joinClose(err error, closing func() error) error { return errors.Join(err, closing()) }
