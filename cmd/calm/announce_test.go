package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/run"
)

// shellWords splits a line as a shell does, as far as calm's own commands need it.
func shellWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// nextCommands returns the commands listed after "Next:", without the program's name.
func nextCommands(t *testing.T, out string) [][]string {
	t.Helper()
	_, after, ok := strings.Cut(out, "\nNext:\n")
	if !ok {
		t.Fatalf("no next commands in\n%s", out)
	}
	var all [][]string
	for line := range strings.Lines(after) {
		args, ok := strings.CutPrefix(line, "  "+program()+" ")
		if !ok {
			t.Fatalf("%q is not a command", line)
		}
		all = append(all, shellWords(args))
	}
	return all
}

// TestTrainingSays checks the output of a training. Before the first step it prints sizes of text and model, the same that other
// commands print. After the last step it names commands that work.
func TestTrainingSays(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	for _, c := range []struct {
		kind, name string
		more       []string
		verbs      []string // of the commands named at the end
	}{
		{"ae", "an autoencoder", nil, []string{"train", "eval", "train"}},
		{"lm", "a language model", []string{"--ae", r.ae}, []string{"generate", "eval", "train"}},
		{"ar", "the token-level baseline", nil, []string{"generate", "eval", "train"}},
	} {
		dir := filepath.Join(work, c.kind+"-run")
		var both bytes.Buffer
		if status := execute(trainTiny(c.kind, dir, r.text, append(c.more, "--steps", "2")...), strings.NewReader(""), &both, &both); status != exitDone {
			t.Fatalf("%s: status %d\n%s", c.kind, status, &both)
		}
		out := both.String()
		said, _, stepped := strings.Cut(out, c.kind+" step 1/2")
		info := object(t, must(t, "info", dir, "--json").out)
		var text strings.Builder
		for line := range strings.Lines(must(t, "data", "info", r.text).out) {
			if words := strings.Fields(line); strings.Contains(line, " tokens") {
				fmt.Fprintf(&text, "%s\n", strings.Join(words, " "))
			}
		}
		want := fmt.Sprintf("%s: training %s on %s\n%smodel %.0f parameters, %.0f of them trained, on 1 thread (", dir, c.name, near(r.text), &text, info["parameters"], info["trainable_parameters"])
		said = strings.ReplaceAll(regexp.MustCompile(` +`).ReplaceAllString(said, " "), "\n ", "\n")
		if !stepped || strings.Count(text.String(), "\n") != 2 || !strings.HasPrefix(said, want) {
			t.Errorf("%s: before the first step it says\n%swant\n%s", c.kind, said, want)
		}
		var verbs []string
		for _, args := range nextCommands(t, out) {
			verbs = append(verbs, args[0])
			if !slices.Contains(args, dir) {
				t.Errorf("%s: the run is not in %q", c.kind, args)
			}
			if args[0] == "train" && args[1] == "lm" { // with the default settings it takes an hour
				args = append(args, "--steps", "1", "--set", "hidden_size=16", "--set", "num_attention_heads=2", "--set", "num_key_value_heads=2", "--set", "block_size=32", "--set", "batch_size=1")
			}
			must(t, args...)
		}
		if !slices.Equal(verbs, c.verbs) {
			t.Errorf("%s: next are %v, want %v", c.kind, verbs, c.verbs)
		}
		if again := must(t, "train", "--resume", dir).out; strings.Contains(again, "training ") || !strings.Contains(again, "is finished after 4 steps") {
			t.Errorf("%s: resuming a finished run prints\n%s", c.kind, again)
		}
	}
}

// withoutData returns the arguments of a training without --data.
func withoutData(kind, out string, more ...string) []string {
	args := trainTiny(kind, out, "TEXT", append(more, "--steps", "1")...)
	i := slices.Index(args, "--data")
	return slices.Delete(args, i, i+2)
}

// data returns the absolute paths of the text that a run was trained on.
func data(t *testing.T, dir string) []string {
	t.Helper()
	m, err := run.Describe(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	return m.Data
}

// TestTextOfAutoencoder checks that a language model without --data trains on its autoencoder's text, and says so.
func TestTextOfAutoencoder(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	lm := filepath.Join(work, "lm")
	got := must(t, withoutData("lm", lm, "--ae", r.ae)...)
	if want := "on " + near(r.text) + " (the text of its autoencoder " + r.ae + ")\n"; !strings.Contains(got.out, want) {
		t.Errorf("no %q in\n%s", want, got.out)
	}
	if of, want := data(t, lm), []string{r.text}; !slices.Equal(of, want) {
		t.Errorf("it was trained on %v, want %v", of, want)
	}
	must(t, "train", "--resume", lm, "--steps", "2")

	// The field is a part of the autoencoder's text.
	lines, _ := jsonText(t)
	ae, lm := filepath.Join(work, "field-ae"), filepath.Join(work, "field-lm")
	must(t, trainTiny("ae", ae, lines, "--field", "meta.content", "--steps", "1")...)
	if got := must(t, withoutData("lm", lm, "--ae", ae)...); !strings.Contains(got.out, `on `+near(lines)+` (field "meta.content") (the text of its autoencoder `) {
		t.Errorf("the text is named as in\n%s", got.out)
	}
	got = calmRun(withoutData("lm", filepath.Join(work, "x"), "--ae", ae, "--field", "meta.content")...)
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "add --data, or leave out --field")
}

// TestTextOfBook checks that without --data the text is the embedded book, which the output says. So it is for a language model
// whose autoencoder was trained on the book.
func TestTextOfBook(t *testing.T) {
	work := t.TempDir()
	ae, lm, ar := filepath.Join(work, "ae"), filepath.Join(work, "lm"), filepath.Join(work, "ar")
	for _, c := range []struct {
		dir, more string
		args      []string
	}{
		{ae, "--data", withoutData("ae", ae)}, {ar, "--data", withoutData("ar", ar)}, {lm, "its autoencoder " + ae, withoutData("lm", lm, "--ae", ae)},
	} {
		first, _, _ := strings.Cut(must(t, c.args...).out, "\n")
		if !strings.Contains(first, "the embedded book") || !strings.Contains(first, c.more) {
			t.Errorf("without --data it prints %q", first)
		}
		if of := data(t, c.dir); len(of) > 0 {
			t.Errorf("%s was trained on %v", c.dir, of)
		}
	}
}

// TestNoTextOfAutoencoder checks a language model whose autoencoder's text does not exist any more, or is not known. One sentence
// asks for --data, and no directory is made. With --data it trains.
func TestNoTextOfAutoencoder(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	exported, imported := filepath.Join(work, "exported"), filepath.Join(work, "imported")
	must(t, "export", r.ae, exported)
	must(t, "import", exported, imported)
	fromMemory := filepath.Join(work, "memory")
	if err := os.CopyFS(fromMemory, os.DirFS(r.ae)); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(fromMemory, "config.json"))
	if err != nil || !bytes.Contains(config, []byte(`"from_memory": false`)) {
		t.Fatalf("%v, %s", err, config)
	}
	replace(t, filepath.Join(fromMemory, "config.json"), bytes.Replace(config, []byte(`"from_memory": false`), []byte(`"from_memory": true`), 1))
	accept(t, fromMemory)
	text, err := os.ReadFile(r.text)
	if err != nil {
		t.Fatal(err)
	}
	kept := file(t, "kept.txt", string(text))
	out := filepath.Join(work, "lm")
	for _, c := range []struct {
		want, ae string
		before   func() error
	}{
		{"was imported from", imported, func() error { return nil }},
		{"text from memory", fromMemory, func() error { return nil }},
		{"has changed", r.ae, func() error { return os.WriteFile(r.text, append([]byte("more\n"), text...), 0o666) }},
		{"cannot be read", r.ae, func() error { return os.Remove(r.text) }},
	} {
		if err := c.before(); err != nil {
			t.Fatal(err)
		}
		got := calmRun(withoutData("lm", out, "--ae", c.ae)...)
		if got.status != exitUsage || !strings.Contains(got.errOut, "--data") {
			t.Errorf("%s: want status 2 and --data: %v", c.want, got)
		}
		checkSentence(t, got, c.want)
		if _, err := os.Lstat(out); err == nil {
			t.Fatalf("%s: a run was made", c.want)
		}
		must(t, trainTiny("lm", out, kept, "--ae", c.ae, "--steps", "1")...)
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLanguageModelDir checks that the proposed run directory does not exist yet.
func TestLanguageModelDir(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"ae", "q-ae", "m"} {
		want := map[string]string{"ae": "lm", "q-ae": "q-lm", "m": "m-lm"}[name]
		for _, suffix := range []string{"", "-2", "-3"} {
			got := languageModelDir(at(name))
			if got != at(want+suffix) {
				t.Errorf("for %s: %s", name, got)
			}
			if err := os.Mkdir(got, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
}
