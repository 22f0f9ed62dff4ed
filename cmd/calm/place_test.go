package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadOutput checks that an output that cannot be written is refused before any work, and that no file changes. Here the work
// itself would fail for lack of text, or take hours.
func TestBadOutput(t *testing.T) {
	r := tinyRuns(t)
	work := t.TempDir()
	t.Chdir(work)
	must(t, "export", r.ae, "exported")
	if err := errors.Join(os.Mkdir("dir", 0o777), os.WriteFile("file", []byte("mine"), 0o666), os.Symlink("gone", "nowhere"),
		os.WriteFile("dir/wiki.train.tokens", []byte("mine"), 0o666)); err != nil {
		t.Fatal(err)
	}
	const gone = "gone.txt"
	long := []string{"quickstart", "--steps", "1000000,1000000"}
	cases := []struct {
		want string
		args []string
	}{
		{"no directory nodir", []string{"tokenizer", "train", "--out", "nodir/x.json", "--data", gone}},
		{"no directory file", []string{"tokenizer", "train", "--out", "file/x.json", "--data", gone}},
		{"is a directory", []string{"tokenizer", "train", "--out", "dir", "--data", gone}},
		{"file is a file", []string{"data", "prepare", "--out", "file", "--data", gone}},
		{"file is a file", []string{"data", "prepare", "--out", "file/x", "--data", gone}},
		{"link to nothing", []string{"data", "prepare", "--out", "nowhere/x", "--data", gone}},
		{"wiki.train.tokens is in the way", []string{"data", "prepare", "--out", "dir", "--data", gone}},
		{"config.json is in the way", []string{"data", "prepare", "--out", r.ae, "--data", r.text}},
		{"file is a file", trainTiny("ae", "file/x", gone)},
		{"file is a file", trainTiny("lm", "file/x", gone, "--ae", r.ae)},
		{"link to nothing", trainTiny("ar", "nowhere/x", gone)},
		{"no directory nodir", append(long, "--out", "q", "--json", "nodir/x.json")},
		{"is a directory", append(long, "--out", "q", "--json", "dir")},
		{"file is a file", append(long, "--out", "file/x")},
		{"file is a file", []string{"export", r.ae, "file/x"}},
		{"file is in the way", []string{"export", r.ae, "file"}},
		{"file is a file", []string{"import", "exported", "file/x"}},
	}
	if _, err := os.Stat("/proc/self"); err == nil { // a file system in which no file can be made
		const want = "nothing can be made in /proc"
		for _, args := range [][]string{
			{"tokenizer", "train", "--out", "/proc/x.json", "--data", gone}, {"data", "prepare", "--out", "/proc/x", "--data", gone},
			trainTiny("ae", "/proc/x", gone), append(long, "--out", "q", "--json", "/proc/x"), append(long, "--out", "/proc/x"),
			{"export", r.ae, "/proc/x"}, {"import", "exported", "/proc/x"},
		} {
			cases = append(cases, struct {
				want string
				args []string
			}{want, args})
		}
	}
	before := files(t, work)
	for _, c := range cases {
		got := calmRun(c.args...)
		if got.status != exitUsage {
			t.Errorf("calm %s: want status 2: %v", strings.Join(c.args, " "), got)
		}
		checkSentence(t, got, c.want)
	}
	if after := files(t, work); !maps.Equal(before, after) {
		t.Errorf("files changed: %v", after)
	}
}

// files returns the paths in a directory tree, with the contents of files.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		all[path] = ""
		if err == nil && e.Type().IsRegular() {
			data, rerr := os.ReadFile(path)
			all[path], err = string(data), rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTokenizerToDevice checks that --out may be a device: it is written to, and not replaced by a file.
func TestTokenizerToDevice(t *testing.T) {
	link := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Skip(err)
	}
	must(t, "tokenizer", "train", "--out", link, "--data", tinyText(t), "--vocab", "280")
	if info, err := os.Stat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("it is now %v, %v", info, err)
	}
}
