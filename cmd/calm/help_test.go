package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite testdata/help.txt")

// TestHelp compares the help of all commands with testdata/help.txt, so that no flag changes unnoticed. It omits bench, which is
// for calm's own developers.
func TestHelp(t *testing.T) {
	const golden = "testdata/help.txt"
	var all strings.Builder
	commands := 0
	each(newRoot(), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		if len(path) > 0 && path[0] == "bench" {
			return
		}
		commands++
		if cmd.Example == "" || cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: example %q, short %q", cmd.CommandPath(), cmd.Example, cmd.Short)
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: the example does not show it: %q", cmd.CommandPath(), cmd.Example)
		}
		help := must(t, append(path, "--help")...)
		fmt.Fprintf(&all, "$ %s --help\n%s\n", cmd.CommandPath(), withoutBench(help.out))
	})
	if commands < 12 {
		t.Errorf("%d commands", commands)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(all.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), all.String()); d != "" {
		t.Errorf("%s differs (go test ./cmd/calm -run TestHelp -update rewrites it):\n%s", golden, d)
	}
}

// withoutBench removes bench from the list of commands.
func withoutBench(help string) string {
	var b strings.Builder
	for line := range strings.Lines(help) {
		if !strings.HasPrefix(line, "  bench ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// each visits a command and its subcommands, except hidden ones and help.
func each(cmd *cobra.Command, visit func(*cobra.Command)) {
	if cmd.Hidden || cmd.Name() == "help" {
		return
	}
	visit(cmd)
	for _, below := range cmd.Commands() {
		each(below, visit)
	}
}

// TestExamplesParse checks that the commands and flags in the examples of the help exist.
func TestExamplesParse(t *testing.T) {
	lines := 0
	each(newRoot(), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			for _, command := range strings.Split(line, "&&") {
				_, after, ok := strings.Cut("|"+strings.ReplaceAll(command, "|", "| "), "calm ")
				if !ok {
					continue
				}
				lines++
				parse(t, cmd.CommandPath(), after)
			}
		}
	})
	if lines < 20 {
		t.Errorf("%d lines of examples", lines)
	}
}

// parse checks that the arguments of a command line of calm name a command, and flags that it has.
func parse(t *testing.T, where, args string) {
	t.Helper()
	target, rest, err := newRoot().Find(strings.Fields(args))
	if err != nil {
		t.Errorf("%s: %q: %v", where, args, err)
		return
	}
	for _, word := range rest {
		if name, ok := strings.CutPrefix(word, "--"); ok && target.Flags().Lookup(name) == nil {
			t.Errorf("%s: %q: %s has no flag %s", where, args, target.CommandPath(), word)
		}
	}
}

// TestRecipesParse checks that the commands and flags in the scripts of recipes exist. Tests in recipes run them.
func TestRecipesParse(t *testing.T) {
	scripts, err := filepath.Glob("../../recipes/*/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("scripts %v, %v", scripts, err)
	}
	for _, path := range scripts {
		script, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		commands := 0
		for line := range strings.Lines(strings.ReplaceAll(string(script), "\\\n", " ")) {
			if _, args, ok := strings.Cut(line, `/calm" `); ok {
				commands++
				args, _, _ = strings.Cut(args, "|")
				parse(t, path, args)
			}
		}
		if commands == 0 {
			t.Errorf("%s runs no command", path)
		}
	}
}
