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

// progress shows where work stands: on a terminal as a line that is written over, elsewhere as a line now and then.
// Measurements get lines of their own.
type progress struct {
	*terminal.Status
	name  string
	shown time.Time // when the line was written last
}

func newProgress(w io.Writer, name string) *progress {
	return &progress{Status: terminal.NewStatus(w), name: name}
}

// event shows what training tells of.
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

// show writes what is due: parts in the order of their importance.
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

// blocks shows that work begins, and returns what shows how many blocks of a text are done.
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

// step describes a step, what matters most first.
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
		if !strings.HasPrefix(f.Name, "token_brier_") || f.Name == metric.TokenBrier(0) { // the first stands for all
			parts = append(parts, named(f))
		}
	}
	return parts
}

// measured is a line of what was measured on held-out text.
func (p *progress) measured(e train.Event) string {
	var all []string
	for _, f := range e.Measured {
		all = append(all, named(f))
	}
	return fmt.Sprintf("%s step %d, held out: %s", p.name, e.Step, strings.Join(all, ", "))
}

// named is a metric with its name, for people.
func named(f metric.Metric) string { return strings.ReplaceAll(f.Name, "_", " ") + " " + value(f) }

// notMeasurable is said of BrierLM, the geometric mean of four scores, where it has no value; and where there is room, why.
const (
	notMeasurable = "not measurable"
	whyNot        = ": a Brier score is not above 0"
)

// value is a metric's value, for people.
func value(f metric.Metric) string {
	if f.Name == metric.BrierLM && f.Value == 0 {
		return notMeasurable
	}
	return number(f.Value)
}

// number prints a figure with the digits that are worth reading.
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

// seconds prints a duration as a person would say it.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func joinClose(err error, closing func() error) error { return errors.Join(err, closing()) }
