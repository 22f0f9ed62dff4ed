package train

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/internal/checkpoint"
)

// Line is one line of metrics.jsonl. docs/formats.md has the keys of each kind.
type Line struct {
	Kind EventKind // EventStep, EventMeasured, EventDecided or EventChanged
	Step int       // number of steps made; for EventDecided and EventChanged the first step that they apply to, from 1
	// Values has the line's numbers by key: loss, learning_rate, brier_lm and so on. A metric that was not finite is NaN.
	Values map[string]float64
	Change *Change // for EventChanged; else nil
}

// ReadMetrics reads the metrics of the run in dir. The run may be training meanwhile. Lines of older runs have no kind;
// theirs is derived from their keys. A missing file has no lines, and an incomplete last line is left out. An error names
// the file and the line, and ends the sequence.
func ReadMetrics(dir string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		n := 0
		for text, err := range checkpoint.ReadMetrics(dir) {
			n++
			var line Line
			if err == nil {
				if line, err = ParseLine(text); err != nil {
					err = fmt.Errorf("%s:%d: %w", filepath.Join(dir, checkpoint.MetricsFile), n, err)
				}
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// ParseLine reads one line of metrics.jsonl, as ReadMetrics does.
func ParseLine(text []byte) (Line, error) {
	var keys map[string]jsontext.Value
	if err := json.Unmarshal(text, &keys); err != nil {
		return Line{}, fmt.Errorf("not an object of JSON: %w", err)
	}
	if keys == nil {
		return Line{}, errors.New("not an object of JSON, but null")
	}
	var line Line
	var measured bool
	if err := take(keys, map[string]any{"kind": &line.Kind, "step": &line.Step, "measured": &measured}); err != nil {
		return line, err
	}
	if line.Kind == EventChanged {
		c := Change{Step: line.Step}
		if err := take(keys, map[string]any{"key": &c.Key, "old": &c.Old, "new": &c.New}); err != nil {
			return line, err
		}
		line.Change = &c
	}
	line.Values = numbers(keys)
	if _, decided := line.Values["decided_steps"]; line.Kind == "" { // from before lines had a kind
		switch {
		case measured:
			line.Kind = EventMeasured
		case decided:
			line.Kind = EventDecided
		default:
			line.Kind = EventStep
		}
	}
	return line, nil
}

// take decodes the values of the given keys, where present, into the given pointers, and removes them from keys.
func take(keys map[string]jsontext.Value, into map[string]any) error {
	for key, to := range into {
		v, ok := keys[key]
		if !ok {
			continue
		}
		if err := json.Unmarshal(v, to); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		delete(keys, key)
	}
	return nil
}

// numbers returns those values that are numbers, with null as NaN. A number too large for float64 is infinite.
func numbers(values map[string]jsontext.Value) map[string]float64 {
	list := map[string]float64{}
	for key, v := range values {
		switch v.Kind() {
		case '0':
			list[key], _ = strconv.ParseFloat(string(v), 64)
		case 'n':
			list[key] = math.NaN()
		}
	}
	return list
}
