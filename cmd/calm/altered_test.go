package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryDigitOfConfig changes every digit of config.json, one at a time, in a run of each kind and in the autoencoder's
// configuration of a language model. Every change is noticed when the run is opened.
func TestEveryDigitOfConfig(t *testing.T) {
	r := tinyRuns(t)
	changed := 0
	for _, c := range []struct{ run, file string }{{r.ae, "config.json"}, {r.lm, "config.json"}, {r.ar, "config.json"}, {r.lm, "autoencoder/config.json"}} {
		path := filepath.Join(c.run, c.file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range good {
			if b < '0' || b > '9' {
				continue
			}
			bad := bytes.Clone(good)
			bad[i] = '0' + (b-'0'+1)%10
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			changed++
			if got := calmRun("info", c.run); got.status == exitDone || got.out != "" {
				line := bytes.Count(good[:i], []byte("\n"))
				t.Errorf("%s, byte %d: unnoticed in line %s", path, i, bytes.Split(bad, []byte("\n"))[line])
			}
		}
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
		must(t, "info", c.run)
	}
	if changed < 300 {
		t.Errorf("only %d digits", changed)
	}
}

// TestAcceptConfig edits config.json by hand. Every command that opens the run says how to accept that, and changes nothing. Once
// accepted, the change holds.
func TestAcceptConfig(t *testing.T) {
	r := tinyRuns(t)
	path := filepath.Join(r.ar, "config.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(good, []byte(`"learning_rate": 0.001`), []byte(`"learning_rate": 0.002`), 1)
	if bytes.Equal(edited, good) {
		t.Fatalf("no rate in %s", good)
	}
	if err := os.WriteFile(path, edited, 0o666); err != nil {
		t.Fatal(err)
	}
	before := files(t, r.ar)
	accept := "config.json was changed after calm wrote it: put it back or, if you changed it on purpose, accept it with `calm train --resume " + r.ar + " --accept-config`"
	for _, args := range [][]string{{"info", r.ar}, {"eval", r.ar}, {"generate", r.ar}, {"export", r.ar, filepath.Join(t.TempDir(), "x")},
		{"bench", "brier", r.ar}, {"train", "--resume", r.ar, "--steps", "9"}} {
		got := calmRun(args...)
		if got.status != exitFailed {
			t.Errorf("calm %v: want status 1: %v", args, got)
		}
		checkSentence(t, got, accept)
	}
	if after := files(t, r.ar); !maps.Equal(before, after) {
		t.Error("the run has changed")
	}
	if got := must(t, "train", "--resume", r.ar, "--accept-config"); !strings.Contains(got.out, "is finished") {
		t.Errorf("accepted without further steps: %v", got)
	}
	must(t, "generate", r.ar, "--max-tokens", "1")
	must(t, "train", "--resume", r.ar, "--steps", "6")
	if info := must(t, "info", r.ar).out; !strings.Contains(info, "from step 5: learning_rate 0.001 -> 0.002") {
		t.Errorf("info does not tell of the change:\n%s", info)
	}
	must(t, "train", "--resume", r.ar, "--steps", "8", "--accept-config") // nothing to accept
	for _, args := range [][]string{trainTiny("ar", filepath.Join(t.TempDir(), "x"), r.text, "--accept-config"), {"train", "--accept-config"}} {
		got := calmRun(args...)
		if got.status != exitUsage {
			t.Errorf("calm %v: want status 2: %v", args, got)
		}
		checkSentence(t, got, "--accept-config")
	}
}

// TestSpecialTokensOnOpening gives runs without checksums, as old or imported ones are, other special tokens or a smaller vocabulary
// than their tokenizer has. Opening them is refused.
func TestSpecialTokensOnOpening(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	imported := map[string]string{}
	for kind, dir := range map[string]string{"ae": r.ae, "lm": r.lm, "ar": r.ar} {
		exported := filepath.Join(work, kind)
		imported[kind] = exported + "-imported"
		must(t, "export", dir, exported)
		must(t, "import", exported, imported[kind])
	}
	seen := 0
	for kind, dir := range map[string]string{"ae": r.ae, "lm": r.lm, "ar": r.ar, "ae imported": imported["ae"], "lm imported": imported["lm"], "ar imported": imported["ar"]} {
		path := filepath.Join(dir, "config.json")
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range map[string]int{"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258, "vocab_size": 259} {
			is := fmt.Sprintf(`"%s": %d`, key, value)
			if !bytes.Contains(good, []byte(is)) || kind == "ae imported" && key == "pad_token_id" {
				continue // what an imported autoencoder pads with, only its configuration says
			}
			seen++
			replace(t, path, bytes.Replace(good, []byte(is), fmt.Appendf(nil, `"%s": %d`, key, value-2), 1))
			if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
				accept(t, dir)
			}
			for _, verb := range []string{"info", "eval", "export"} {
				got := calmRun(append([]string{verb, dir}, map[string][]string{"export": {filepath.Join(work, "x")}, "eval": {"--data", r.text}}[verb]...)...)
				if got.status != exitUsage || !strings.Contains(got.errOut, key) {
					t.Errorf("%s, %s: calm %s: want status 2: %v", kind, key, verb, got)
				}
			}
			replace(t, path, good)
		}
		must(t, "info", dir)
	}
	if seen < 20 {
		t.Errorf("only %d changes", seen)
	}
}
