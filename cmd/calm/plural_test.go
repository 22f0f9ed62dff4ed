package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// one matches a count of one with a plural, such as "1 documents".
var one = regexp.MustCompile(`(?:^|[^0-9.,/-])1 [a-z]+s\b`)

// TestOneThing checks that no command prints a count of one with a plural.
func TestOneThing(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	at := func(name string) string { return filepath.Join(work, name) }
	lines := 0
	for _, args := range [][]string{
		trainTiny("ae", at("ae"), r.text, "--steps", "1"), trainTiny("lm", at("lm"), r.text, "--ae", r.ae, "--steps", "1"), trainTiny("ar", at("ar"), r.text, "--steps", "1"),
		{"train", "--resume", at("ar"), "--steps", "2"}, {"info", at("ae")}, {"info", at("lm"), "--context", "1"}, {"info", at("ar")},
		{"data", "info", r.text}, {"data", "prepare", "--data", r.text, "--out", at("p")}, {"tokenizer", "train", "--data", r.text, "--out", at("t.json"), "--vocab", "260"},
		{"generate", r.ar, "--prompt", "the", "--max-tokens", "1"}, {"eval", r.ar, "--blocks", "1"}, {"eval", r.lm, "--blocks", "1"}, {"eval", r.ae, "--blocks", "1"},
		{"bench", "generate", r.lm, "--prompt", "1", "--seconds", "0.001", "--threads", "1"}, {"export", r.lm, at("e")}, {"import", at("e"), at("i")},
	} {
		got := must(t, args...)
		for line := range strings.Lines(got.out + got.errOut) {
			lines++
			if found := one.FindString(line); found != "" {
				t.Errorf("calm %s: %q in %q", strings.Join(args, " "), found, line)
			}
		}
	}
	if lines < 60 {
		t.Errorf("%d lines", lines)
	}
}

// counted matches a format with a count and a fixed plural, such as "%d documents". Bounds, as in "at most %d", may have it.
var counted = regexp.MustCompile(`(?:^|.)(?:\S+ )?%d [a-z]+s\b`)

// TestCountsAreCounted checks that messages use package plural for counts.
func TestCountsAreCounted(t *testing.T) {
	bound := regexp.MustCompile(`(to|most|than|least|want|or) %d`)
	files := 0
	for _, dir := range []string{".", "../../internal/quickstart", "../../internal/bench"} {
		paths, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			files++
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, _ := strconv.Unquote(lit.Value)
				for _, found := range counted.FindAllString(text, -1) {
					if !bound.MatchString(found) && !strings.HasSuffix(found, " does") {
						t.Errorf("%s: %q in %q: use package plural", fset.Position(lit.Pos()), found, text)
					}
				}
				return true
			})
		}
	}
	if files < 30 {
		t.Errorf("%d files", files)
	}
}
