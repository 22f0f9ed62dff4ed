package bench

import (
	"math"
	"testing"

	"github.com/calm-go/calm/flops"
)

// documentedGFLOPs are the GFLOPs of training steps in docs/flops.md.
var documentedGFLOPs = map[string]float64{
	"lm-bytes": 1.42, "ae-bytes": 9.32, "lm-proto": 67.7, "ae-proto": 119, "calm-m": 617, "ae-official": 1749,
}

// TestTrainPresets checks that steps have the FLOPs in docs/flops.md, and that the presets are sorted by them.
func TestTrainPresets(t *testing.T) {
	last := 0.
	for _, name := range TrainPresets() {
		m, err := newModel(name, "", true, nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.Objective()
		if err != nil {
			t.Fatal(err)
		}
		got, want := flops.Training(o.Graph).Total()/1e9, documentedGFLOPs[name]
		if math.Abs(got-want) > .005*want {
			t.Errorf("%s: %.4g GFLOP, docs/flops.md says %g", name, got, want)
		}
		if got < last {
			t.Errorf("%s takes less than the one before it", name)
		}
		last = got
	}
}
