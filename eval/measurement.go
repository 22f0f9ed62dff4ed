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

// Measurement is the result of a model's evaluator. Each kind of model has its own type. As JSON it has the keys that
// docs/formats.md lists.
type Measurement interface {
	// Metrics lists the metrics that training writes to metrics.jsonl and prints, in that order.
	Metrics() []metric.Metric
	// Print writes the result for people: indented lines of a name and a value.
	Print(w io.Writer)
}

// Evaluator measures a model's present weights. It is compiled once, with its text and its options, and may run many times,
// but not while another program of its engine runs. It returns ctx's error when ctx ends.
type Evaluator func(ctx context.Context) (Measurement, error)

// AsEvaluator returns the runs of a model's own evaluator v, or err, which came with it.
func AsEvaluator[M Measurement](v interface {
	Run(context.Context) (M, error)
}, err error) (Evaluator, error) {
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (Measurement, error) { return v.Run(ctx) }, nil
}

// Unused is an option that has no effect on a model's measurement.
type Unused struct {
	Option string // OptionNoise, OptionSamples or OptionWindows
	Why    string // a clause that says what the option is for
}

// Names of the options that only some models use.
const (
	OptionNoise   = "noise"   // Options.Sigmas
	OptionSamples = "samples" // Options.Samples
	OptionWindows = "windows" // Options.ReferenceWindows
)

// The options that a model may not use, and why.
var (
	UnusedNoise   = Unused{OptionNoise, "noise is added to an autoencoder's latent vectors"}
	UnusedSamples = Unused{OptionSamples, "samples are drawn from a language model"}
	FixedSamples  = Unused{OptionSamples, "samples are always 2 where a patch has fewer than 4 tokens"}
	UnusedWindows = Unused{OptionWindows, "windows differ for a language model whose patches have fewer than 4 tokens"}
)

// Scores lists the Brier scores of r as metrics, in percent: BrierLM, which is NaN where it is not measurable, then Brier-1
// to Brier-4.
func Scores(r brier.Result) []metric.Metric {
	list := []metric.Metric{{Name: metric.BrierLM, Value: float64(r.BrierLM)}}
	for i, b := range r.Brier {
		list = append(list, metric.Metric{Name: metric.Brier(i + 1), Value: b})
	}
	return list
}

// PrintScores writes Brier scores for people, in percent with their 95 % intervals. If rollouts is not nil, it also writes at
// how many positions further patches were drawn in each round (see [Rollout]).
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
