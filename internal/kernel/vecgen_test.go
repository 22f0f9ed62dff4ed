package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGeneratedVectorCode regenerates the assembly and compares it with the files at hand.
func TestGeneratedVectorCode(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: does not run the generator")
	}
	if _, err := os.Stat("_asm"); err != nil {
		t.Skip("the generator is not here: ", err)
	}
	dir := t.TempDir()
	generator := filepath.Join(dir, "vec")
	if out, err := exec.Command("go", "build", "-C", "_asm", "-o", generator, "./vec").CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("cannot find module")) || bytes.Contains(out, []byte("dial tcp")) ||
			bytes.Contains(out, []byte("module lookup disabled")) {
			t.Skipf("the generator's modules are not available: %s", out)
		}
		t.Fatalf("building the generator: %v\n%s", err, out)
	}
	files := map[string]string{"-out": "vec_amd64.s", "-stubs": "vec_stubs_amd64.go", "-other": "vec_other.go"}
	args := []string{"-pkg", "kernel", "-source", "."}
	for flag, name := range files {
		args = append(args, flag, filepath.Join(dir, name))
	}
	if out, err := exec.Command(generator, args...).CombinedOutput(); err != nil {
		t.Fatalf("generating: %v\n%s", err, out)
	}
	for _, name := range files {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) < 1000 || !bytes.Equal(afterHeader(got), afterHeader(want)) {
			t.Errorf("%s is not what the generator writes: run go generate", name)
		}
	}
}

// afterHeader drops the first line, which names the command and its arguments.
func afterHeader(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] }
