package corpus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// Of a directory, the files with text as content are read. All others are listed with a reason.
func TestReadDirectory(t *testing.T) {
	long := strings.Repeat("x", sniffed-1)
	dir := put(t, map[string]string{
		"z.txt": "z", "a/b.jsonl": `{"text":"b"}`, "a/c/d.txt.gz": gz(t, "d"), "a.txt": "a", "latin.txt": "caf\xe9",
		"README.md": "# read", "noending": "é", "x.md.zst": zst(t, "packed"), "cut.log": long + "é",
		"lines.json": "\ufeff\n{\"text\":\"j\"}\n", "empty.md": "",
		".hidden.txt": "no", ".git/x.txt": "no", ".git/y.txt": "no", "picture.png": "\x89PNG\r\n\x1a\n\x00\x00", "zero.txt": "a\x00b", "x.tar.gz": gz(t, "a\x00b"),
		"latin.md": "caf\xe9", "utf16.txt": "\xff\xfea\x00", "broken.gz": "plain", "pretty.json": "{\n \"text\": \"x\"\n}\n", "array.json": `[{"text":"x"}]`,
	})
	outside := put(t, map[string]string{"blob": "linked", "dir/more.txt": "yes"})
	for from, to := range map[string]string{"blob": "link.txt", "dir": "linked", "gone": "dangling.txt"} {
		if err := os.Symlink(filepath.Join(outside, from), filepath.Join(dir, to)); err != nil {
			t.Skip(err)
		}
	}
	got, notes, err := readAll(dir, at(dir, filepath.Join(dir, "z.txt")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md # read", "a.txt a", "a/b.jsonl:1 b", "a/c/d.txt.gz d", "cut.log " + long + "é", "latin.txt caf\xe9", "lines.json:2 j",
		"link.txt linked", "linked/more.txt yes", "noending é", "x.md.zst packed", "z.txt z", "z.txt z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	lines := strings.ReplaceAll(strings.Join(notes.Lines(), "\n"), dir+"/", "")
	if diff := cmp.Diff(`skipped 2 (hidden): .git, .hidden.txt
skipped 1 (links to nothing): dangling.txt
skipped 2 (JSON, but not one object per line): array.json, pretty.json
skipped 1 (damaged, or not compressed as the name says): broken.gz
skipped 1 (not UTF-8): latin.md
skipped 3 (binary): picture.png, x.tar.gz, zero.txt
skipped 1 (UTF-16; calm reads UTF-8): utf16.txt
1 document without text (empty or null), the first is empty.md`, lines); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// Many files skipped for the same reason, in several directories, are counted, and the first are named.
func TestSkippedMany(t *testing.T) {
	files := map[string]string{"a.txt": "a"}
	for i := range 9 {
		files[fmt.Sprintf("%d.bin", i)] = "\x00"
	}
	one, two := put(t, files), put(t, files)
	r := reader(t, one, two)
	n := r.Notes()
	if len(n.Skipped) != 1 || n.Skipped[0].Count != 18 || len(n.Skipped[0].First) != maxSkippedNames || !strings.HasSuffix(n.Lines()[0], " and 15 more") {
		t.Errorf("%+v", n)
	}
	if r.Size() != 2 {
		t.Errorf("the files have %d bytes", r.Size())
	}
}

// For a directory without text, the error lists what was skipped.
func TestNoTextInDirectory(t *testing.T) {
	dir := put(t, map[string]string{"a.png": "\x00", ".x": "a"})
	_, err := NewReader(at(dir))
	wantError(t, err, "there is no text in "+dir, "skipped 1 (binary)", "a.png", "skipped 1 (hidden)")
}

// A damaged file in a directory is an error if its extension says that it is text.
func TestDamagedInDirectory(t *testing.T) {
	for name, content := range map[string]string{"a.txt.gz": "plain", "a.jsonl": "plain", "a.parquet": "plain", "a.jsonl.zst": "plain", "a.json.gz": "plain"} {
		dir := put(t, map[string]string{name: content, "b.txt": "text"})
		_, _, err := readAll(dir, at(dir))
		wantError(t, err, name)
	}
}

// A file that is given by its path is read whatever its extension, unless it looks binary.
func TestNamedFile(t *testing.T) {
	dir := put(t, map[string]string{".hidden": "a", "latin.md": "\xe9", "array.json": "[]"})
	got, _, err := readAll(dir, at(filepath.Join(dir, ".hidden"), filepath.Join(dir, "latin.md")))
	if diff := cmp.Diff([]string{".hidden a", "latin.md \xe9"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, _, err = readAll(dir, at(filepath.Join(dir, "array.json")))
	wantError(t, err, "array.json:1: an array; expected an object")
}

// Whether a file is skipped is decided by its first bytes, and repeatably.
func FuzzDirectory(f *testing.F) {
	for _, name := range []string{"a.md", "a.txt", "a.json", "a.gz", "a.zst", "a.json.gz", "a.jsonl", "a.parquet"} {
		f.Add(name, []byte("{\"text\": 1}"))
	}
	f.Add("a.\xf1", []byte("text"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		path := filepath.Join(t.TempDir(), "a"+filepath.Ext("x"+filepath.Base(name)))
		if !utf8.ValidString(path) { // a source refuses it: TestPathNotUTF8
			t.Skip()
		}
		if strings.ContainsRune(path, 0) || os.WriteFile(path, content, 0o666) != nil {
			t.Skip()
		}
		file := fileOf(path, int64(len(content)))
		reason, err := file.notText()
		again, errAgain := file.notText()
		if reason != again || err != nil || errAgain != nil {
			t.Errorf("%q, then %q; %v, %v", reason, again, err, errAgain)
		}
		for _, err := range reader(t, path).Documents(context.Background()) {
			if err != nil && !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), "no text") {
				t.Errorf("the error names no file: %v", err)
			}
		}
	})
}
