package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// jsonText writes the tiny text as JSON lines with the field meta.content, and a second line without it.
func jsonText(t *testing.T) (path, content string) {
	t.Helper()
	data, err := os.ReadFile(tinyText(t))
	if err != nil {
		t.Fatal(err)
	}
	content = `{"meta": {"content": "` + strings.ReplaceAll(string(data), "\n", `\n`) + `"}}` + "\n" + `{"meta": null}` + "\n"
	return file(t, "text.jsonl", content), content
}

const oneEmpty = "calm: note: 1 document without text (empty or null), the first is "

// TestField checks that each command that reads text accepts --field, and reports documents without text.
func TestField(t *testing.T) {
	text, _ := jsonText(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{
		{"data", "info", text}, {"data", "prepare", "--data", text, "--out", at("prepared")}, {"tokenizer", "train", "--data", text, "--vocab", "265", "--out", at("t.json")},
		trainTiny("ae", at("ae"), text, "--steps", "1"), {"eval", at("ae"), "--data", text, "--blocks", "2"},
	} {
		got := calmRun(args...)
		if got.status != exitUsage {
			t.Errorf("want status 2: %v", got)
		}
		checkSentence(t, got, `text.jsonl:1: the object has no field "text"; it has "meta.content": choose one with --field NAME, or leave the file out`)
		if got = must(t, append(args, "--field", "meta.content")...); !strings.Contains(got.errOut, oneEmpty+text+":2\n") {
			t.Errorf("%v: %v", args, got)
		}
	}
	if got := must(t, "eval", at("ae"), "--blocks", "2"); !strings.Contains(got.errOut, oneEmpty) || !strings.Contains(got.out, `(field "meta.content")`) {
		t.Errorf("on its own text: %v", got)
	}
	must(t, "train", "--resume", at("ae"), "--steps", "2", "--threads", "1")
	for want, args := range map[string][]string{
		"--field is for --data": {"eval", at("ae"), "--field", "meta.content"},
		"continues a run":       {"train", "--resume", at("ae"), "--field", "meta.content"},
		"is prepared":           {"data", "info", at("prepared"), "--field", "meta.content"},
		"no field":              {"data", "info", tinyText(t), "--field", "meta.content"},
		"embedded book":         {"tokenizer", "train", "--out", at("x.json"), "--field", "meta.content"},
	} {
		got := calmRun(args...)
		if got.status != exitUsage || !strings.Contains(got.errOut, want) {
			t.Errorf("want status 2 and %q: %v", want, got)
		}
	}
}

// TestFieldMissingInDirectory checks that a file of a directory without the field is an error, which names the file: it may be text
// under another name.
func TestFieldMissingInDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a.jsonl": `{"text": "some text"}`, "b.jsonl": `{"url": "x", "body": "more text"}`, "c.txt": "plain text"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got := calmRun("data", "info", dir)
	if got.status != exitUsage || got.out != "" {
		t.Errorf("want status 2 and no output: %v", got)
	}
	checkSentence(t, got, filepath.Join(dir, "b.jsonl")+`:1: the object has no field "text"; it has "url", "body": choose one with --field NAME, or leave the file out`)
	must(t, "data", "info", filepath.Join(dir, "a.jsonl"))
}

// TestStandardInput checks that --data - gives the same result as a file with the same text, for all commands that read the text
// once.
func TestStandardInput(t *testing.T) {
	path, lines := jsonText(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, trainTiny("ae", at("ae"), tinyText(t), "--steps", "1")...)
	for _, args := range [][]string{
		{"data", "info", path}, {"data", "prepare", "--data", path, "--out", at("prepared")},
		{"tokenizer", "train", "--vocab", "270", "--out", at("t.json"), "--data", path}, {"eval", at("ae"), "--blocks", "2", "--data", path},
	} {
		args = append(args, "--field", "meta.content")
		fromFile := must(t, args...)
		for i, arg := range args {
			if arg == path {
				args[i] = "-"
			}
		}
		got := calmWith(lines, args...)
		if got.status != exitDone || !strings.Contains(got.errOut, oneEmpty+"standard input:2\n") {
			t.Errorf("%v: %v", args, got)
		}
		if _, numbers, _ := strings.Cut(fromFile.out, "\n"); !strings.HasSuffix(got.out, numbers) {
			t.Errorf("%v:\n%s\nand from the file\n%s", args, got.out, fromFile.out)
		}
	}
	got := calmWith("text", trainTiny("ae", at("no"), "-")...)
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "calm data prepare --data -")
}

// TestSkippedAreTold checks that files of a directory that are not read are reported, and that the others are read.
func TestSkippedAreTold(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a.txt": "some text", "b.md": "more text", "c.png": "\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got := must(t, "data", "info", dir)
	if want := "calm: note: skipped 1 (binary): " + filepath.Join(dir, "c.png") + "\n"; got.errOut != want || !strings.Contains(got.out, "2 documents") {
		t.Error(got)
	}
}
