package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/run"
)

// commandsIn returns the commands of calm in a page's shell blocks and code spans, split into words. What follows #, |, && and ;
// is not part of a command.
func commandsIn(page string) (list [][]string) {
	var texts []string
	var prose strings.Builder
	block := ""
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "```") && block == "":
			block = strings.TrimSpace(line)
		case strings.HasPrefix(line, "```"):
			block = ""
		case block == "```sh" || block == "" && strings.HasPrefix(line, "    "):
			texts = append(texts, line)
		case block == "":
			prose.WriteString(line)
		}
	}
	for _, m := range regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`").FindAllStringSubmatch(prose.String(), -1) {
		texts = append(texts, strings.ReplaceAll(m[1], "\n", " "))
	}
	for _, text := range texts {
		text = strings.ReplaceAll(text, `\|`, "|")
		for part := range strings.SplitSeq(regexp.MustCompile(` *(\||&&|;|#) *`).ReplaceAllString(text, "\x00"), "\x00") {
			part = strings.Replace(strings.TrimSpace(part), "go run ./cmd/calm", "calm", 1)
			if args, ok := strings.CutPrefix(part, "calm "); ok && args != "corpus" { // the format of a prepared corpus
				list = append(list, splitCommand(args))
			}
		}
	}
	return list
}

// splitCommand splits a command at spaces outside quotes, and removes the quotes.
func splitCommand(command string) (list []string) {
	for _, m := range regexp.MustCompile(`(?:[^\s"']|"[^"]*"|'[^']*')+`).FindAllString(command, -1) {
		list = append(list, strings.NewReplacer(`"`, "", "'", "").Replace(m))
	}
	return list
}

// placeholder matches words that stand for a value: N, RUN, NAME, ...
var placeholder = regexp.MustCompile(`^[A-Z][A-Z-]*$|^\.\.+$`)

// TestDocumentedCommands: every command in README.md, CONTRIBUTING.md and docs/ names a command of calm, its flags with values that
// they take, presets that exist, and keys that a configuration has. (docs/log.md has the commands of its time.)
func TestDocumentedCommands(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, "../../README.md", "../../CONTRIBUTING.md", "../../testdata/golden/README.md")
	var names []string
	keys := []string{"dtype"}
	for _, kind := range kinds() {
		names = append(names, run.Kind(kind).Presets()...)
		c, err := configKeys(run.Kind(kind), run.DefaultPreset, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range c {
			keys = append(keys, k.name)
		}
	}
	for _, head := range []string{"diffusion", "flow"} {
		c, err := configKeys(run.LM, run.DefaultPreset, []string{"model_type=" + head})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range c {
			keys = append(keys, k.name)
		}
	}
	n := 0
	for _, page := range pages {
		if filepath.Base(page) == "log.md" {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range commandsIn(string(text)) {
			n++
			if err := checkCommand(args, names, keys); err != nil {
				t.Errorf("%s: calm %s: %v", filepath.Base(page), strings.Join(args, " "), err)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d commands were found", n)
	}
	for _, wrong := range []string{"trian lm", "train lm --kind=x", "train lm --steps many", "info --preset calm-xxl", "train lm --set hiden_size=4"} {
		if err := checkCommand(splitCommand(wrong), names, keys); err == nil {
			t.Errorf("calm %s passes the check", wrong)
		}
	}
}

// checkCommand checks a command without running it.
func checkCommand(args, presets, keys []string) error {
	args = slices.DeleteFunc(args, func(w string) bool { return w == "KIND" })
	cmd, rest, err := newRoot().Find(args)
	if err != nil {
		return err
	}
	if cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return errors.New("there is no such command")
	}
	err = cmd.ParseFlags(rest)
	bad, invalid := errors.AsType[*pflag.InvalidValueError](err)
	_, incomplete := errors.AsType[*pflag.ValueRequiredError](err) // a flag that is only named
	if err != nil && !incomplete && !errors.Is(err, pflag.ErrHelp) && !(invalid && placeholder.MatchString(bad.GetValue())) {
		return err
	}
	return errors.Join(checkPresets(cmd, presets), checkKeys(cmd, keys))
}

func checkPresets(cmd *cobra.Command, known []string) error {
	f := cmd.Flags().Lookup("preset")
	if f == nil || !f.Changed {
		return nil
	}
	for name := range strings.SplitSeq(strings.Trim(f.Value.String(), "[]"), ",") {
		if !placeholder.MatchString(name) && !slices.Contains(known, name) {
			return errors.New("there is no preset " + name)
		}
	}
	return nil
}

func checkKeys(cmd *cobra.Command, known []string) error {
	set, err := cmd.Flags().GetStringArray("set")
	if err != nil { // no such flag
		return nil
	}
	for _, s := range set {
		key, _, ok := strings.Cut(s, "=")
		if !ok || key != "KEY" && !slices.Contains(known, key) {
			return errors.New("there is no key " + key + "; nearest: " + config.Nearest(key, known))
		}
	}
	return nil
}
