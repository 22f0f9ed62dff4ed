package train_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/train"
)

// TestEventLines writes events of every kind as lines, and reads them back.
func TestEventLines(t *testing.T) {
	change := &train.Change{Step: 5, Key: "learning_rate", Old: .001, New: .0005}
	events := []train.Event{
		{Kind: train.EventStep, Seconds: 1.256, TokensPerSec: 99.6, Report: train.Report{Step: 3, Loss: 2.5, GradNorm: math.Inf(1), LearningRate: .001,
			Metrics: []metric.Metric{{Name: metric.KL, Value: 4}}}},
		{Kind: train.EventMeasured, Report: train.Report{Step: 4}, Measured: []metric.Metric{{Name: metric.Accuracy, Value: math.NaN()}}},
		{Kind: train.EventDecided, Report: train.Report{Step: 5}, Decided: &train.Decision{Step: 4, Total: 40, Seconds: 2}},
		{Kind: train.EventChanged, Report: train.Report{Step: 5}, Changed: change},
	}
	want := []train.Line{
		{Kind: train.EventStep, Step: 3, Values: map[string]float64{"loss": 2.5, "grad_norm": math.NaN(), "learning_rate": .001, "tokens_per_s": 100, "seconds": 1.26, metric.KL: 4}},
		{Kind: train.EventMeasured, Step: 4, Values: map[string]float64{metric.Accuracy: math.NaN()}},
		{Kind: train.EventDecided, Step: 5, Values: map[string]float64{"decided_steps": 40, "seconds": 2}},
		{Kind: train.EventChanged, Step: 5, Change: change},
	}
	var text []byte
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, line...), '\n')
	}
	got, err := readMetrics(t, string(text))
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Errorf("%v, lines (+) differ:\n%s", err, d)
	}
}
