package train

import (
	"math"

	"github.com/go-json-experiment/json"

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
	Kind EventKind // what happened

	Report                       // what the step did, for EventStep; for other kinds only Step is set
	Total        int             // steps of the whole run; 0: not known yet
	Seconds      float64         // seconds of training so far, without measurements
	Remaining    float64         // estimated seconds of training left; 0: no estimate
	TokensPerSec float64         // tokens per second over about the last 20 steps, for EventStep; 0 after the first step
	Measured     []metric.Metric // what was measured, for EventMeasured
	Decided      *Decision       // for EventDecided; else nil
	Changed      *Change         // for EventChanged; else nil
}

// MarshalJSON writes the event as its line in metrics.jsonl, which ReadMetrics reads. A number that is not finite becomes null,
// since JSON has no infinities.
func (e Event) MarshalJSON() ([]byte, error) {
	line := map[string]any{"kind": e.Kind, "step": e.Step}
	switch e.Kind {
	case EventStep:
		addMetrics(line, []metric.Metric{{Name: "loss", Value: e.Loss}, {Name: "grad_norm", Value: e.GradNorm}})
		line["learning_rate"] = e.LearningRate
		line["tokens_per_s"], line["seconds"] = math.Round(e.TokensPerSec), math.Round(e.Seconds*100)/100
		addMetrics(line, e.Metrics)
	case EventMeasured:
		addMetrics(line, e.Measured)
	case EventDecided:
		line["decided_steps"], line["seconds"] = e.Decided.Total, e.Decided.Seconds
	case EventChanged:
		line["key"], line["old"], line["new"] = e.Changed.Key, e.Changed.Old, e.Changed.New
	}
	return json.Marshal(line, json.Deterministic(true))
}

// addMetrics adds metrics to a line. A value that is not finite becomes null, since JSON has no infinities.
func addMetrics(line map[string]any, list []metric.Metric) {
	for _, m := range list {
		if line[m.Name] = m.Value; !finite(m.Value) {
			line[m.Name] = nil
		}
	}
}

// Outcome says how the training of a run ended (run.Training.Do).
type Outcome struct {
	Steps    int             // steps made since the run began
	Seconds  float64         // seconds of training since the run began, without measurements
	Finished bool            // all steps were made; false where the context or an error ended the training
	Measured []metric.Metric // the last measurement of this call on held-out text; nil: there was none
}
