package run

import (
	"testing"

	"github.com/calm-go/calm/lm"
)

// TestAutoencoders: every language model has an autoencoder.
func TestAutoencoders(t *testing.T) {
	presets := lm.Presets()
	for name, c := range presets {
		if _, err := autoencoderOf(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(presets) < 6 {
		t.Errorf("%d presets", len(presets))
	}
}
