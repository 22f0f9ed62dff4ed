package main

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/bench"
	"github.com/calm-go/calm/internal/quickstart"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

var backticked = regexp.MustCompile("`([a-z0-9_]+)`")

// documentedKeys returns the keys in the first column of a section's table in docs/formats.md.
func documentedKeys(t *testing.T, section string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "\n### "+section+"\n")
	if !ok {
		t.Fatalf("docs/formats.md has no section %q", section)
	}
	keys := map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			break
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, match := range backticked.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			if keys[match[1]] {
				t.Errorf("%s: %s is listed twice", section, match[1])
			}
			keys[match[1]] = true
		}
	}
	return keys
}

// quickstartSection is the title of the section of docs/formats.md with the quickstart's keys.
const quickstartSection = "calm quickstart --json FILE"

// generateSection is the title of the section of docs/formats.md with the keys of a written text.
const generateSection = "calm generate --json"

// trainingKeys are keys that only measurements during training have.
var trainingKeys = []string{"token_loss", "token_brier"}

// checkDocumented reports keys of a JSON value that the section of docs/formats.md lacks.
func checkDocumented(t *testing.T, section string, value any) {
	t.Helper()
	documented := documentedKeys(t, section)
	if section == quickstartSection {
		maps.Copy(documented, documentedKeys(t, "calm eval --json"))
	}
	var look func(any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				if !documented[key] {
					t.Errorf("%s: docs/formats.md does not describe %q", section, key)
				}
				look(below)
			}
		case []any:
			for _, below := range v {
				look(below)
			}
		}
	}
	look(value)
}

// evalResult has the types of all values that calm eval --json can print.
type evalResult struct {
	run.Result
	AE autoencoder.Measurement `json:"ae"`
	LM lm.Measurement          `json:"lm"`
	AR ar.Measurement          `json:"ar"`
}

// TestKeysAreDocumented checks that docs/formats.md describes all keys that commands can print, and no others.
func TestKeysAreDocumented(t *testing.T) {
	for section, c := range map[string]struct {
		of        reflect.Type
		hidden    []string // keys of the type that the command never prints
		elsewhere string   // another section that describes some of the keys
	}{
		"calm eval --json":  {of: reflect.TypeFor[evalResult](), hidden: trainingKeys},
		"calm bench --json": {of: reflect.TypeFor[bench.Result]()},
		generateSection:     {of: reflect.TypeFor[writtenText]()},
		quickstartSection:   {of: reflect.TypeFor[quickstart.Result](), hidden: trainingKeys, elsewhere: "calm eval --json"},
	} {
		documented, printed := documentedKeys(t, section), map[string]bool{}
		jsonKeys(c.of, printed)
		if c.elsewhere != "" {
			for key := range documentedKeys(t, c.elsewhere) {
				if printed[key] {
					documented[key] = true
				}
			}
		}
		for key := range printed {
			if documented[key] == slices.Contains(c.hidden, key) {
				t.Errorf("%s: %q is documented: %v", section, key, documented[key])
			}
		}
		for key := range documented {
			if !printed[key] {
				t.Errorf("%s: docs/formats.md has %q, which is never printed", section, key)
			}
		}
		if len(printed) < 10 {
			t.Errorf("%s: only the keys %v", section, printed)
		}
	}
}

// jsonKeys collects the JSON keys of a type and of the types inside it.
func jsonKeys(of reflect.Type, keys map[string]bool) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		jsonKeys(of.Elem(), keys)
	case reflect.Struct:
		if of == reflect.TypeFor[lm.Measurement]() || of == reflect.TypeFor[quickstart.Result]() {
			for _, name := range []string{head.EnergyType, head.DiffusionType, head.FlowType} { // other heads document themselves
				k, _ := head.Lookup(name)
				for _, m := range k.Metrics {
					keys[m.Name] = true
				}
			}
		}
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if name != "" {
				keys[name] = true
			}
			jsonKeys(of.Field(i).Type, keys)
		}
	}
}
