package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// TestDeadWriters: writing a file removes what killed writers of the same file left, and nothing else: not the file that another
// process is writing, nor links, nor the temporary files of another file.
func TestDeadWriters(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a temporary file is not locked there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	mine := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(mine, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".a.123.tmp", ".a.zz.tmp", ".b.123.tmp", ".a.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(mine, filepath.Join(dir, ".a.77.tmp")); err != nil {
		t.Skip(err)
	}
	live, err := new(Disk).temporary(path)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if err := Write(path, text("new")); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"a": true, ".b.123.tmp": true, ".a.tmp": true, ".a.77.tmp": true, filepath.Base(live.Name()): true}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !want[e.Name()] {
			t.Errorf("%s is still there", e.Name())
		}
		delete(want, e.Name())
	}
	if len(want) > 0 {
		t.Errorf("removed: %v", want)
	}
}

// TestWritersOfOneFile lets many writers replace the same file at once. None removes the temporary file of another: all succeed, and
// nothing is left.
func TestWritersOfOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				if err := Write(path, text(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

// TestDeadProbes: checking a directory removes what killed checks left in it.
func TestDeadProbes(t *testing.T) {
	for name, can := range map[string]func(dir string) error{"CanMake": CanMake, "CanWrite": func(dir string) error { return CanWrite(filepath.Join(dir, "a")) }} {
		dir := t.TempDir()
		for _, left := range []string{".probe.abc.tmp", ".probe.1.tmp"} {
			if err := os.WriteFile(filepath.Join(dir, left), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := can(dir); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("%s: the directory has %v, %v", name, entries, err)
		}
	}
}
