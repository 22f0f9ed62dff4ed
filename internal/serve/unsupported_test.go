package serve

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentedRefusals checks that docs/serving.md lists every field that is refused.
func TestDocumentedRefusals(t *testing.T) {
	page, err := os.ReadFile("../../docs/serving.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusals() {
		if !strings.Contains(string(page), "`"+r.field+"`") {
			t.Errorf("docs/serving.md does not have %s", r.field)
		}
	}
}
