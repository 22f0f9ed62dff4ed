package main

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/atomicfile"
)

// TestKilledVerbs kills every command that makes files, at random moments, and runs it again. The second run succeeds, or says that
// there is a run to resume, and resuming it succeeds. Nothing of the killed run is left over.
func TestKilledVerbs(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	r := tinyRuns(t)
	exported := filepath.Join(t.TempDir(), "exported")
	must(t, "export", r.lm, exported)
	long := file(t, "long.txt", strings.Repeat("the whale swam round and round a ship of oak\n", 20000))
	const rounds = 6
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for name, args := range map[string]func(out string) []string{
		"import": func(out string) []string { return []string{"import", exported, out} },
		"export": func(out string) []string { return []string{"export", r.lm, out} },
		"train ae": func(out string) []string {
			return trainTiny("ae", out, r.text, "--steps", "20", "--set", "save_steps=5")
		},
		"train lm":     func(out string) []string { return trainTiny("lm", out, r.text, "--ae", r.ae, "--steps", "5") },
		"data prepare": func(out string) []string { return []string{"data", "prepare", "--data", long, "--out", out} },
		"tokenizer train": func(out string) []string {
			return []string{"tokenizer", "train", "--data", r.text, "--out", out, "--vocab", "300"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			if out, err := calmProcess(t, args(filepath.Join(t.TempDir(), "whole"))...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			whole := time.Since(begun)
			for range rounds {
				dir := t.TempDir()
				out := filepath.Join(dir, "out")
				cmd := calmProcess(t, args(out)...)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				after := time.Duration(rnd.Int64N(int64(whole)))
				time.Sleep(after)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				_, unfinished := os.Stat(filepath.Join(out, "config.json"))
				again := calmRun(args(out)...)
				switch {
				case again.status == exitDone:
				case strings.HasPrefix(name, "train") && strings.Contains(again.errOut, "resume it (calm train --resume "+out+")"):
					must(t, "train", "--resume", out)
				case unfinished == nil && strings.Contains(again.errOut, "is in the way"):
				default:
					t.Errorf("killed after %v, the same command again: %v", after, again)
				}
				noTemporaryFiles(t, dir)
			}
		})
	}
}

// noTemporaryFiles checks that no file below dir is one of an unfinished writer.
func noTemporaryFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (atomicfile.IsLeftover(e.Name()) || strings.HasSuffix(e.Name(), atomicfile.Suffix)) {
			t.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestKilledBetweenFiles makes the states that an import can be killed in, one file after the other, and imports again. Each time the
// import succeeds.
func TestKilledBetweenFiles(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	exported, out := filepath.Join(work, "exported"), filepath.Join(work, "out")
	must(t, "export", r.lm, exported)
	must(t, "import", exported, out)
	made := []string{".lock", ".config.json.tmp", "tokenizer.json", "autoencoder/config.json", "autoencoder/model.safetensors", "model.safetensors"}
	whole := files(t, out)
	for n := range len(made) + 1 {
		killed := filepath.Join(t.TempDir(), "killed")
		for _, name := range made[:n] {
			path := filepath.Join(killed, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(whole[filepath.Join(out, name)]), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		must(t, "import", exported, killed)
		noTemporaryFiles(t, killed)
	}
	lost := filepath.Join(t.TempDir(), "lost") // without the mark of a creation: a run that lost its config.json
	must(t, "import", exported, lost)
	if err := os.Remove(filepath.Join(lost, "config.json")); err != nil {
		t.Fatal(err)
	}
	if got := calmRun("import", exported, lost); got.status != exitUsage || !strings.Contains(got.errOut, "model.safetensors is in the way") {
		t.Errorf("the only weights of a run are overwritten: %v", got)
	}
}
