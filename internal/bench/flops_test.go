package bench

import (
	"math"
	"testing"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/run"
)

// TestPyTorchFLOPs counts the steps that PyTorch was measured with as was done there: to two to four digits, and for
// language models perhaps with the last patch of a row, which predicts nothing.
func TestPyTorchFLOPs(t *testing.T) {
	names := PyTorchPresets()
	if len(names) != 6 {
		t.Fatalf("%d presets: %v", len(names), names)
	}
	for _, name := range names {
		m, err := newModel(name, "", true, nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.Objective()
		if err != nil {
			t.Fatal(err)
		}
		got, want := flops.Unshared(o.Graph).Total()/1e9, pyTorchPresets[name].gflop
		t.Logf("%s: %.2f GFLOP, there %g", name, got, want)
		tolerance := .005
		if m.Kind == run.LM {
			tolerance = .065
		}
		if math.Abs(got-want) > tolerance*want {
			t.Errorf("%s: %.2f GFLOP, there %g", name, got, want)
		}
	}
}
