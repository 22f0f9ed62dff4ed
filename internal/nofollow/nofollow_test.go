package nofollow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpen opens what a name may stand for: only a missing and a regular file can be opened, and the target of a link stays as it
// is.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": target, "dangling": filepath.Join(dir, "gone"), "device": os.DevNull} {
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Skip(err)
		}
		f, err := Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "it is a link") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(dir, os.O_RDONLY, 0); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if data, err := os.ReadFile(target); err != nil || string(data) != "mine" {
		t.Errorf("the target of the link has %q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "gone")); err == nil {
		t.Error("the target of a dangling link was made")
	}
	for _, name := range []string{"target", "new"} {
		f, err := Open(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// TestSystemRefuses checks that the flag alone refuses a link, for a link that is made after Check.
func TestSystemRefuses(t *testing.T) {
	if noFollow == 0 {
		t.Skip("this system has no such flag")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Skip(err)
	}
	if f, err := os.OpenFile(link, os.O_RDWR|noFollow, 0); err == nil {
		f.Close()
		t.Error("the system follows the link")
	}
}

func TestCheckDir(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	if err := CheckDir(link); err == nil || !strings.Contains(err.Error(), "it is a link") {
		t.Errorf("a link: %v", err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "gone")} {
		if err := CheckDir(path); err != nil {
			t.Error(err)
		}
	}
}
