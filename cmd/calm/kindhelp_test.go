package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/run"
)

// TestKindHelp checks that the help of each kind lists every key of its configuration, with the preset's value and a meaning.
func TestKindHelp(t *testing.T) {
	for _, kind := range kinds() {
		for _, preset := range run.Kind(kind).Presets() {
			help := must(t, "train", kind, "--preset", preset, "--help").out
			config, _ := object(t, must(t, "info", "--preset", preset, "--model", kind, "--json").out)["config"].(map[string]any)
			for key, value := range config {
				if slices.Contains(keyTable("Every run").names, key) {
					continue
				}
				_, line, ok := strings.Cut(help, "\n  "+key+"=")
				shown, meaning, _ := strings.Cut(line, "\n")
				shown, rest, _ := strings.Cut(shown, " ")
				var got any = shown
				if _, isText := value.(string); !isText {
					if err := json.Unmarshal([]byte(shown), &got); err != nil {
						t.Errorf("train %s, preset %s: %s=%q", kind, preset, key, shown)
					}
				}
				if !ok || got != value {
					t.Errorf("train %s, preset %s: %s is %v, want %v", kind, preset, key, got, value)
				}
				if strings.TrimSpace(rest) == "" && !strings.HasPrefix(meaning, strings.Repeat(" ", 30)) {
					t.Errorf("train %s: docs/formats.md does not say what %s means", kind, key)
				}
			}
			if len(config) < 20 {
				t.Errorf("%d keys", len(config))
			}
		}
	}
	if got := must(t, "help", "train", "ae").out; got != must(t, "train", "ae", "--help").out || !strings.Contains(got, "\n  latent_dropout=null ") {
		t.Errorf("help prints\n%s", got)
	}
	if got := must(t, "train", "lm", "--help", "--set", "model_type=flow").out; !strings.Contains(got, "\n  model_type=flow ") {
		t.Errorf("the value of --set is not shown in\n%s", got)
	}
}

func TestWrapped(t *testing.T) {
	if got := wrapped("one two three four", 9, 2); got != "one two\n  three\n  four" {
		t.Errorf("%q", got)
	}
	for line := range strings.Lines(must(t, "train", "lm", "--help").out) {
		if _, after, ok := strings.Cut(line, "="); ok && len(line) > 121 && !strings.HasPrefix(after, "key") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
}
