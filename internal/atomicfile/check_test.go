package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestCan: CanWrite and CanMake predict whether writing succeeds, and change nothing.
func TestCan(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs links")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.Mkdir(at("dir"), 0o777), os.WriteFile(at("file"), []byte("old"), 0o666),
		os.Symlink(at("file"), at("link")), os.Symlink(at("gone"), at("nowhere"))); err != nil {
		t.Fatal(err)
	}
	closed := at("closed")
	if err := os.Mkdir(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		path, write, make string // parts of the errors, "" for none
	}{
		{at("new"), "", ""},
		{at("file"), "", "is a file"},
		{at("dir"), "is a directory", ""},
		{at("link"), "", "is a file"},
		{at("nowhere"), "", "link to nothing"}, // the link is replaced
		{at("dir/new"), "", ""},
		{at("no/new"), "no directory", ""},
		{at("file/new"), "no directory", "is a file"},
		{at("file/no/new"), "no directory", "is a file"},
		{at("nowhere/new"), "no directory", "link to nothing"},
		{os.DevNull, "", "is a file"},
	}
	if runtime.GOOS == "linux" {
		cases = append(cases, struct{ path, write, make string }{"/proc/new", "made in /proc", "made in /proc"})
	}
	if os.Geteuid() > 0 { // the superuser may write anywhere
		cases = append(cases, struct{ path, write, make string }{filepath.Join(closed, "new"), "made in " + closed, "made in " + closed})
	}
	before := names(t, dir)
	for _, c := range cases {
		for verb, err := range map[string]error{"write": CanWrite(c.path), "make": CanMake(c.path)} {
			want := map[string]string{"write": c.write, "make": c.make}[verb]
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s %s: %v, want %q", verb, c.path, err, want)
			}
		}
	}
	if after := names(t, dir); after != before {
		t.Errorf("it left %s, there were %s", after, before)
	}
	for _, c := range cases {
		err := Write(c.path, text("new"))
		if (err == nil) != (c.write == "") {
			t.Errorf("writing %s: %v", c.path, err)
		}
		if err == nil && c.path != os.DevNull {
			if err := os.Remove(c.path); err != nil {
				t.Error(err)
			}
		}
	}
}

// names lists all that is in a directory and below.
func names(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		list = append(list, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}
