package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/train"
)

// progress shows work as one line that is written over, where the output is a terminal, and otherwise as a line
// now and then; measurements get lines of their own.
type progress struct {
	w        io.Writer
	name     string
	terminal bool
	shown    time.Time
	width    int // of the line that stands there
}

func newProgress(w io.Writer, name string) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, name: name, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) event(e train.Event) {
	switch e.Kind {
	case train.EventMeasured:
		p.line(p.measured(e))
	case train.EventStep:
		if p.due(e.Step == 1) {
			p.show(p.step(e))
		}
	case train.EventChanged:
		p.line(fmt.Sprintf("%s %s", p.name, e.Changed))
	}
}

// show writes what is due.
func (p *progress) show(s string) {
	p.shown = time.Now()
	if p.terminal {
		p.over(s)
	} else {
		p.line(s)
	}
}

func (p *progress) due(first bool) bool {
	every := 200 * time.Millisecond
	if !p.terminal {
		every = 15 * time.Second
	}
	return first || time.Since(p.shown) >= every
}

func (p *progress) step(e train.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s step %d", p.name, e.Step)
	if e.Total > 0 {
		fmt.Fprintf(&b, "/%d", e.Total)
	}
	fmt.Fprintf(&b, "  loss %s", number(e.Loss))
	for _, f := range e.Figures {
		if strings.HasPrefix(f.Name, "token_brier_") && f.Name != metric.TokenBrier(0) {
			continue // the line is to fit a terminal
		}
		fmt.Fprintf(&b, "  %s %s", strings.ReplaceAll(f.Name, "_", " "), number(f.Value))
	}
	if e.TokensPerSec > 0 {
		fmt.Fprintf(&b, "  %s tokens/s", number(math.Round(e.TokensPerSec)))
	}
	if e.Remaining > 0 {
		fmt.Fprintf(&b, "  %s left", seconds(e.Remaining))
	}
	return b.String()
}

func (p *progress) measured(e train.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s step %d, held out:", p.name, e.Step)
	for i, f := range e.Measured {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s %s", strings.ReplaceAll(f.Name, "_", " "), number(f.Value))
	}
	return b.String()
}

// over writes a line over the one that stands there.
func (p *progress) over(s string) {
	fmt.Fprintf(p.w, "\r%s%s", s, strings.Repeat(" ", max(0, p.width-len(s))))
	p.width = len(s)
}

// line writes a line that stays.
func (p *progress) line(s string) {
	p.clear()
	fmt.Fprintln(p.w, s)
}

func (p *progress) clear() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

func (p *progress) end() { p.clear() }

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
