package eval

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/metric"
)

// Measurement is what a model's evaluator found. Each kind of model has its own; encoded as JSON it has the keys of
// docs/formats.md.
type Measurement interface {
	// Metrics lists what training writes to metrics.jsonl and prints, in that order.
	Metrics() []metric.Metric
	// Print writes it for people: indented lines of a name and a value.
	Print(w io.Writer)
}

// Evaluator measures a model's weights as they are now. It is compiled once, with its text and its options, and may run
// again and again, but not beside another program of its engine. When ctx ends, so does it, with ctx's error.
type Evaluator func(ctx context.Context) (Measurement, error)

// Unused is an option that changes nothing of what is measured of a model.
type Unused struct {
	Option string // OptionNoise, OptionSamples or OptionWindows
	Why    string // half a sentence: what the option is for
}

// Names of options that not every model's measurement uses.
const (
	OptionNoise   = "noise"   // Options.Sigmas
	OptionSamples = "samples" // Options.Samples
	OptionWindows = "windows" // Options.ReferenceWindows
)

// The options that models do not use, with what they are for.
var (
	UnusedNoise   = Unused{OptionNoise, "noise is added to an autoencoder's latent vectors"}
	UnusedSamples = Unused{OptionSamples, "samples are drawn of a language model"}
	FixedSamples  = Unused{OptionSamples, "samples are always 2 where a patch has fewer than 4 tokens"}
	UnusedWindows = Unused{OptionWindows, "windows differ for a language model whose patches have fewer than 4 tokens"}
)

// Scores lists the metrics of Brier scores, BrierLM first.
func Scores(r brier.Result) []metric.Metric {
	list := []metric.Metric{{Name: metric.BrierLM, Value: r.BrierLM}}
	for i, b := range r.Brier {
		list = append(list, metric.Metric{Name: metric.Brier(i + 1), Value: b})
	}
	return list
}

// PrintScores writes Brier scores for people, and at how many positions further patches were drawn, if rollouts is not
// nil.
func PrintScores(w io.Writer, r brier.Result, rollouts []int) {
	for i, b := range r.Brier {
		fmt.Fprintf(w, "  Brier-%d        %.3f  [%.3f, %.3f]\n", i+1, b, r.BrierInterval[i].Lo, r.BrierInterval[i].Hi)
	}
	if r.Measurable {
		fmt.Fprintf(w, "  BrierLM        %.3f  [%.3f, %.3f]\n", r.BrierLM, r.BrierLMInterval.Lo, r.BrierLMInterval.Hi)
	} else {
		fmt.Fprintln(w, "  BrierLM        not measurable: a Brier score is not above 0")
	}
	if rollouts != nil {
		fmt.Fprintf(w, "  rollouts       %s of %s\n", strings.Trim(fmt.Sprint(rollouts), "[]"), plural.Count(r.Positions, "position"))
	}
}
