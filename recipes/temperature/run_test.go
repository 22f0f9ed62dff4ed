package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// recorder stands for the programs that run.sh builds and runs. It records their arguments in $LOG, makes the files that
// the script looks for, and answers an eval of a judge with the next line of $ANSWERS. The first time that it measures ae-bytes-4
// that is not good enough.
const recorder = `#!/usr/bin/env bash
set -euo pipefail
line="${0##*/} $*"
echo "$line" >>"$LOG"
case "$line" in
"go build -o "*) cp "$0" "$3" ;;
*" --out "*)
	out=${line#*--out }
	out=${out%% *}
	if [[ $1 == tokenizer ]]; then touch "$out"; else mkdir -p "$out" && touch "$out/config.json"; fi ;;
"calm eval "*/ae-*)
	accuracy=.99
	if [[ $line == *ae-bytes-4* && ! -e $2/measured ]]; then accuracy=.97; fi
	touch "$2/measured"
	echo "{\"ae\":{\"accuracy\":$accuracy,\"noise\":[{\"accuracy\":.5}]}}" ;;
"calm eval "*)
	echo "{\"ar\":{\"cross_entropy\":$(head -1 "$ANSWERS"),\"perplexity\":3}}"
	sed -i 1d "$ANSWERS" ;;
"temperature write "*) touch "${line##* }/texts.jsonl" ;;
esac
`

// script runs run.sh with recorders in place of Go and of what it builds, and returns what they were asked to do.
func script(t *testing.T, runs, answers string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	bin := t.TempDir()
	log, answersFile := filepath.Join(bin, "log"), filepath.Join(bin, "answers")
	for path, text := range map[string]string{filepath.Join(bin, "go"): recorder, answersFile: answers, log: ""} {
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bash, "run.sh", runs, filepath.Join(runs, "report"))
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "LOG="+log, "ANSWERS="+answersFile)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run.sh: %v, %s", err, out)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(data), runs, "RUNS")), "\n")
}

// count returns how many lines match.
func count(lines []string, pattern string) (n int) {
	for _, line := range lines {
		if regexp.MustCompile(pattern).MatchString(line) {
			n++
		}
	}
	return n
}

// TestScript checks that run.sh trains and measures every model once, with valid configurations; that a judge keeps the best of its
// parts and stops after one that is worse; and that a second run trains nothing further.
func TestScript(t *testing.T) {
	runs := t.TempDir()
	lines := script(t, runs, "1.5\n1.3\n1.4\n4.0\n4.5\n")
	for pattern, want := range map[string]int{
		"^calm train ar ": 2, "^calm train ae ": 4, "^calm train lm ": 8, "^calm train --resume RUNS/judge-bytes/training": 2, "^calm train --resume RUNS/judge-bpe/training": 1, "^calm train --resume RUNS/ae-": 1, "^calm train --resume RUNS/ae-bytes-4 .*--minutes": 1,
		"^temperature write ": 10, "^temperature judge --judge RUNS/judge-bytes/run --judge RUNS/judge-bpe/run ": 10, "^temperature report RUNS RUNS/report$": 1, "^calm tokenizer train ": 1,
	} {
		if got := count(lines, pattern); got != want {
			t.Errorf("%d lines match %q, want %d:\n%s", got, pattern, want, strings.Join(lines, "\n"))
		}
	}
	for judge, want := range map[string]string{"judge-bytes": "1.5\n1.3\n1.4\n", "judge-bpe": "4.0\n4.5\n"} {
		if got, err := os.ReadFile(filepath.Join(runs, judge, "parts")); err != nil || string(got) != want {
			t.Errorf("%s has the parts %q, %v; want %q", judge, got, err, want)
		}
		if _, err := os.Stat(filepath.Join(runs, judge, "run", "config.json")); err != nil {
			t.Error(err)
		}
	}
	autoencoders := map[string]run.AEConfig{}
	for _, line := range lines {
		if err := valid(line, autoencoders); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	again := script(t, runs, "")
	if n := count(again, "^calm train (ar|ae|lm) |^calm tokenizer |^calm eval RUNS/judge|--minutes"); n != 0 {
		t.Errorf("a second run begins again:\n%s", strings.Join(again, "\n"))
	}
}

// valid validates the configuration of a line that begins a training, as calm train does.
func valid(line string, autoencoders map[string]run.AEConfig) error {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "calm" || words[1] != "train" || words[2] == "--resume" {
		return nil
	}
	flags, sets := map[string]string{"--preset": run.DefaultPreset}, []string(nil)
	for pair := range slices.Chunk(words[3:], 2) {
		if len(pair) < 2 {
			return errors.New("a flag without a value")
		}
		if flags[pair[0]] = pair[1]; pair[0] == "--set" {
			sets = append(sets, pair[1])
		}
	}
	switch words[2] {
	case "ar":
		c, err := run.ARPreset(flags["--preset"], tokenizer.Bytes())
		if err != nil {
			return err
		}
		c, err = config.Compose(c, "", sets)
		return errors.Join(err, c.Validate())
	case "ae":
		c, err := run.AEPreset(flags["--preset"], tokenizer.Bytes())
		if err != nil {
			return err
		}
		c, err = config.Compose(c, "", sets)
		autoencoders[flags["--out"]] = c
		return errors.Join(err, c.Validate())
	case "lm":
		ae, ok := autoencoders[flags["--ae"]]
		if !ok {
			return fmt.Errorf("no autoencoder %s", flags["--ae"])
		}
		c, err := run.LMPreset(flags["--preset"], ae.AutoencoderConfig)
		if err != nil {
			return err
		}
		c, err = config.Compose(c, "", sets)
		return errors.Join(err, c.ValidateWith(ae.AutoencoderConfig))
	}
	return fmt.Errorf("unknown kind %s", words[2])
}
