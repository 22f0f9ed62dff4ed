package corpus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/internal/filelock"
)

// Prepare refuses a directory with other files and changes nothing in it: it does not even make a lock.
func TestForeignDirectory(t *testing.T) {
	shard := shardName(0)
	for name, files := range map[string]map[string]string{
		"a text":                {"notes.txt": "mine"},
		"WikiText":              {"wiki.train.tokens": "mine"}, // has a shard's extension
		"another's shard":       {"00.tokens": "mine"},
		"one beside ours":       {shard: "", "notes.txt": "mine"},
		"a tokenizer":           {tokenizerName: "{}"},
		"a run just begun":      {filelock.Name: "", tokenizerName: "{}"},
		"another's corpus.json": {manifestName: `{"format": "words"}`},
		"no JSON":               {manifestName: "mine"},
	} {
		dir := put(t, files)
		_, err := Prepare(context.Background(), given(someTexts(5, 1)...), bytesTokenizer, dir, small)
		if free := Free(dir); err == nil || free == nil || err.Error() != free.Error() {
			t.Errorf("%s: %v, and before %v", name, err, free)
		}
		entries, _ := os.ReadDir(dir)
		if diff := cmp.Diff(contents(t, put(t, files)), contents(t, dir)); diff != "" || len(entries) != len(files) {
			t.Errorf("%s: changed: %s", name, diff)
		}
	}
}

// Files that a preparation makes do not keep the next one from starting.
func TestFree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "some", "where")
	if err := Free(dir); err != nil || Begun(dir) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
	mustPrepare(t, dir, small, someTexts(60, 1)...)
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Free(dir); err != nil || !Begun(dir) {
		t.Errorf("complete: %v", err) // nothing is written to it
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, manifestName)), os.Remove(filepath.Join(dir, "README"))); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"." + tokenizerName + ".1x.tmp", "." + manifestName + ".1x.tmp", shardName(20) + ".tmp"} {
		if err := os.WriteFile(filepath.Join(dir, more), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := Free(dir); err != nil || !Begun(dir) {
		t.Errorf("incomplete: %v", err)
	}
	mustPrepare(t, dir, small, someTexts(60, 1)...)
}

func TestIsShardName(t *testing.T) {
	for name, want := range map[string]bool{
		shardName(0): true, shardName(7) + ".tmp": true, shardName(12345678): true,
		"0.tokens": false, "wiki.train.tokens": false, ".tokens": false, "-00001.tokens": false, "+00001.tokens": false,
		"000000": false, "000000.tmp": false, "000000.tokens.tmp.tmp": false, "000000.tokens.bak": false,
	} {
		if got := isShardName(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
