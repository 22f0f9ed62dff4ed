package run

import (
	"testing"

	"github.com/calm-go/calm/lm"
)

// TestAutoencoders checks that every preset of a language model fits a preset of an autoencoder.
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
