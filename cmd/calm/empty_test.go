package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestEmptyPaths gives an empty path to every flag that takes a path, and to every argument. All are refused before anything is
// read: an empty path would name the working directory, here one with text and a run.
func TestEmptyPaths(t *testing.T) {
	r := tinyRuns(t)
	t.Chdir(r.ar)
	before := files(t, r.ar)
	paths := 0
	refused := func(want string, args ...string) {
		t.Helper()
		got := calmRun(args...)
		if got.status != exitUsage {
			t.Errorf("calm %q: want status 2: %v", args, got)
		}
		checkSentence(t, got, want)
	}
	eachFlag(func(path string, flag *pflag.Flag) {
		path = strings.TrimPrefix(path, "calm ")
		if !takesPath(flag) {
			return
		}
		paths++
		args := strings.Fields(path)
		name := args[len(args)-1]
		switch args[0] { // the arguments that each needs
		case "export", "import":
			args = append(args, "", r.ae, "x")
		case "eval", "generate":
			args = append(args, "", r.ae)
		case "data":
			args = append(args, "")
			if args[1] == "info" {
				args = append(args, r.text)
			}
		default:
			args = append(args, "")
		}
		if name == "--data" && args[0] != "eval" { // also as the second of several
			refused("--data is empty", append(slices.Clone(args[:len(args)-2]), "--data", r.text, "--data", "")...)
		}
		refused(name+" is empty, want a path: is a shell variable not set?", args...)
	})
	if paths < 20 {
		t.Errorf("only %d flags take a path", paths)
	}
	for _, args := range [][]string{{"eval", ""}, {"info", ""}, {"generate", ""}, {"export", "", "x"}, {"export", r.ae, ""}, {"import", "", "x"}, {"import", r.ae, ""},
		{"data", "info", ""}, {"bench", "generate", ""}, {"bench", "brier", ""}, {""}, {"train", ""}} {
		refused("an argument is empty", args...)
	}
	must(t, "generate", r.ar, "--prompt", "", "--max-tokens", "1") // a prompt may be empty
	after := files(t, r.ar)
	if len(after) != len(before) {
		t.Errorf("files were made: %v", after)
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a directory was made")
	}
	if got := calmRun("__complete", "eval", ""); got.status != exitDone {
		t.Errorf("completion of an empty word: %v", got)
	}
}
