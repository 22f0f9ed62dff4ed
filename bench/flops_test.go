package bench

import (
	"math"
	"testing"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/run"
)

// TestIssueFLOPs counts the steps of the issue as the issue does. Its figures have two to four digits, and for language
// models it does not say whether the last patch of a row counts, which predicts nothing.
func TestIssueFLOPs(t *testing.T) {
	names := IssuePresets()
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
		got, want := flops.Unshared(o.Graph).Total()/1e9, issuePresets[name].gflop
		t.Logf("%s: %.2f GFLOP, issue %g", name, got, want)
		tolerance := .005
		if m.Kind == run.LM {
			tolerance = .065
		}
		if math.Abs(got-want) > tolerance*want {
			t.Errorf("%s: %.2f GFLOP, the issue says %g", name, got, want)
		}
	}
}
