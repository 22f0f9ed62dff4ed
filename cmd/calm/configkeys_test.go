package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestConfigKeysAreDocumented checks that the section config.json of docs/formats.md has all keys of the configurations of every
// kind and head, and no other keys.
func TestConfigKeysAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "\n## config.json\n")
	if !ok {
		t.Fatal("docs/formats.md has no section config.json")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	documented := map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") {
			for _, match := range backticked.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
				documented[match[1]] = true
			}
		}
	}
	known := map[string]bool{}
	for _, args := range [][]string{
		{"ae-official", "--set", "token_dropout=0.1", "--set", "latent_dropout=0.1"}, {"ar-s"},
		{"calm-m"}, {"calm-m", "--set", "model_type=diffusion"}, {"calm-m", "--set", "model_type=flow"},
	} {
		info := object(t, must(t, append([]string{"info", "--json", "--preset"}, args...)...).out)
		config, _ := info["config"].(map[string]any)
		if len(config) < 20 {
			t.Errorf("info of %v has the configuration %v", args, config)
		}
		for key := range config {
			known[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if !documented[key] {
			t.Errorf("docs/formats.md does not say what %q is", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(documented)) {
		if !known[key] {
			t.Errorf("docs/formats.md has the key %q, which no configuration has", key)
		}
	}
}
