package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// beCalm is an environment variable that makes the test binary run as the command, for tests that need a process.
const beCalm = "CALM_TEST_BE_CALM"

func TestMain(m *testing.M) {
	if os.Getenv(beCalm) != "" {
		main()
	}
	// Under nohup SIGHUP is ignored, here and in the processes that tests start, where calm would leave it ignored. A signal
	// that is handled here has its default there.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	status := m.Run()
	if madeIn != "" {
		os.RemoveAll(madeIn)
	}
	os.Exit(status)
}

// calmProcess returns the command as a separate process.
func calmProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), beCalm+"=1")
	return cmd
}

// result is the exit status and the output of a command.
type result struct {
	status      int
	out, errOut string
}

func (r result) String() string {
	return fmt.Sprintf("status %d\nstandard output:\n%s\nstandard error:\n%s", r.status, r.out, r.errOut)
}

// calmWith runs the command in this process, with a standard input.
func calmWith(in string, args ...string) result {
	var out, errOut bytes.Buffer
	status := execute(args, strings.NewReader(in), &out, &errOut)
	return result{status, out.String(), errOut.String()}
}

func calmRun(args ...string) result { return calmWith("", args...) }

// calmUnder runs the command with a context, which a test can end.
func calmUnder(ctx context.Context, args ...string) result {
	var out, errOut bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errOut)
	r := result{status: exitDone}
	if err := root.ExecuteContext(ctx); err != nil {
		r.status = status(err)
		errOut.WriteString("calm: " + err.Error() + "\n")
	}
	r.out, r.errOut = out.String(), errOut.String()
	return r
}

// must runs a command that must succeed.
func must(t *testing.T, args ...string) result {
	t.Helper()
	r := calmRun(args...)
	if r.status != exitDone {
		t.Fatalf("calm %s: %v", strings.Join(args, " "), r)
	}
	return r
}

// tinyText writes a file of a few kilobytes of words. They are the same every time.
func tinyText(t *testing.T) string {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("the whale swam round and round a ship of oak while old men sang to it until morning came")
	var b strings.Builder
	for b.Len() < 5000 {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(" \n"[r.IntN(8)/7])
	}
	return file(t, "text.txt", b.String())
}

// file writes a file in a new directory.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// sets returns settings as --set flags.
func sets(list ...string) []string {
	var flags []string
	for _, s := range list {
		flags = append(flags, "--set", s)
	}
	return flags
}

// trainTiny returns the arguments of a training whose steps take about a millisecond.
func trainTiny(kind, out, text string, more ...string) []string {
	args := append([]string{"train", kind, "--out", out, "--data", text, "--threads", "1"},
		sets("hidden_size=16", "intermediate_size=24", "batch_size=2", "eval_blocks=2", "warmup_steps=2", "logging_steps=1")...)
	switch kind {
	case "ae":
		args = append(args, sets("latent_size=8", "block_size=16")...)
	case "lm":
		args = append(args, sets("num_samples=2")...)
		if !strings.Contains(strings.Join(more, " "), "model_type=") { // other heads lack these keys
			args = append(args, sets("noise_size=6", "target_samples=4")...)
		}
	}
	if kind != "ae" {
		args = append(args, sets("num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1", "block_size=32")...)
	}
	return append(args, more...)
}

// runs has a tiny finished run of each kind, and their text.
type runs struct{ text, ae, lm, ar string }

// tinyRuns returns runs that the test may change. They are copies of runs that are trained once for all tests.
func tinyRuns(t *testing.T) runs {
	t.Helper()
	trainOnce.Do(func() { made = trainRuns(t) })
	if made.ae == "" {
		t.Fatal("the runs that all tests share could not be made")
	}
	dir := t.TempDir()
	r := runs{filepath.Join(dir, "text.txt"), filepath.Join(dir, "ae"), filepath.Join(dir, "lm"), filepath.Join(dir, "ar")}
	if err := os.CopyFS(dir, os.DirFS(madeIn)); err != nil { // the runs name their text relative to themselves
		t.Fatal(err)
	}
	return r
}

// The runs that tinyRuns copies, and their directory.
var (
	trainOnce sync.Once
	made      runs
	madeIn    string
)

func trainRuns(t *testing.T) runs {
	t.Helper()
	var err error
	if madeIn, err = os.MkdirTemp("", "calm-runs-"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(tinyText(t))
	if err != nil {
		t.Fatal(err)
	}
	r := runs{filepath.Join(madeIn, "text.txt"), filepath.Join(madeIn, "ae"), filepath.Join(madeIn, "lm"), filepath.Join(madeIn, "ar")}
	if err := os.WriteFile(r.text, text, 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, trainTiny("ae", r.ae, r.text, "--steps", "400", "--set", "learning_rate=0.005", "--set", "eval_steps=0", "--set", "save_steps=0")...)
	must(t, trainTiny("lm", r.lm, r.text, "--ae", r.ae, "--steps", "60", "--set", "learning_rate=0.01")...)
	must(t, trainTiny("ar", r.ar, r.text, "--steps", "4")...)
	return r
}
