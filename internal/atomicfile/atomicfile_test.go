package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// only checks that dir has only one file, with that name and content.
func only(t *testing.T, dir, name, content string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the directory holds %v, %v; want %s", entries, err, name)
	}
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, content)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	for _, content := range []string{"old", "new and longer", ""} {
		if err := Write(path, text(content)); err != nil {
			t.Fatal(err)
		}
		only(t, dir, "a.json", content)
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := Write(path, text("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Write(path, func(w io.Writer) error { return errors.Join(text("half")(w), broken) })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v; want the cause and the path", err)
	}
	only(t, dir, "a.json", "old")
	if err := Write(dir, text("x")); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("writing over a directory: %v", err)
	}
	if err := Write(filepath.Join(dir, "no", "a.json"), text("x")); err == nil {
		t.Error("writing into a missing directory went well")
	}
}

// TestFaults lets each operation fail in turn, once or with all later ones. The file has the old text or the new one. After a
// single failure no temporary file is left.
func TestFaults(t *testing.T) {
	failure := errors.New("failure")
	count := 0
	for _, forGood := range []bool{false, true} {
		for at := 0; ; at++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.json")
			if err := Write(path, text("old")); err != nil {
				t.Fatal(err)
			}
			n, renamed := 0, false
			disk := &Disk{Fault: func(op Op, _ string, size int) (int, error) {
				n++
				if n-1 == at || forGood && n-1 > at {
					return size / 2, failure
				}
				renamed = renamed || op == OpRename
				return 0, nil
			}}
			err := disk.WriteFile(path, text("new"))
			if n <= at {
				break
			}
			count++
			if !errors.Is(err, failure) {
				t.Errorf("operation %d: %v", at, err)
			}
			if forGood {
				if err := new(Disk).RemoveLeftovers(dir); err != nil {
					t.Error(err)
				}
			}
			want := "old"
			if renamed {
				want = "new"
			}
			only(t, dir, "a.json", want)
		}
	}
	if count < 10 {
		t.Errorf("only %d operations failed", count)
	}
}

func TestWriteThroughLinkAndDevice(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs links and /dev/null")
	}
	dir, elsewhere := t.TempDir(), t.TempDir()
	target, link := filepath.Join(elsewhere, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, []byte("old"), 0o666), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, text("new")); err != nil {
		t.Fatal(err)
	}
	only(t, elsewhere, "real", "new")
	if to, err := os.Readlink(link); err != nil || to != target {
		t.Errorf("the link points to %q, %v", to, err)
	}
	if err := Write(os.DevNull, text("x")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s was replaced: %v", os.DevNull, err)
	}
}

func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".a.123.tmp", "a.tmp", ".b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".d.tmp", "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := new(Disk).RemoveLeftovers(dir); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != ".b a.tmp c" {
		t.Errorf("left: %s", got)
	}
}

// TestTemps: Temps finds the names that TempName made for a path, and no others.
func TestTemps(t *testing.T) {
	dir := t.TempDir()
	want := []string{TempName(filepath.Join(dir, "a")), TempName(filepath.Join(dir, "a"))}
	slices.Sort(want)
	others := []string{"a", ".a.tmp", ".a.1", ".a.no number.tmp", TempName("b"), TempName("a.1"), TempName("aa")}
	for _, name := range others {
		want = append(want, filepath.Join(dir, name))
	}
	for _, path := range want {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want = want[:2]
	if got, err := Temps(filepath.Join(dir, "a")); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	t.Chdir(dir)
	if got, err := Temps("a"); err != nil || len(got) != 2 || got[0] != filepath.Base(want[0]) {
		t.Errorf("in the directory: %v, %v", got, err)
	}
	if _, err := Temps("gone/a"); err == nil {
		t.Error("no error for a directory that does not exist")
	}
}
