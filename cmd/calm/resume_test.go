package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calm-go/calm/train"
)

// weights returns the weights and moments of a run's checkpoint.
func weights(t *testing.T, dir string, step int) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{"model.safetensors", "optimizer.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, "state", fmt.Sprintf("step-%d", step), name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// loggedSteps returns the steps of the lines of metrics.jsonl. Steps of measurements are negative.
func loggedSteps(t *testing.T, dir string) []int {
	t.Helper()
	var steps []int
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Kind == train.EventMeasured {
			line.Step = -line.Step
		}
		steps = append(steps, line.Step)
	}
	return steps
}

// startUntil starts a training as a process and waits until metrics.jsonl has so many lines.
func startUntil(t *testing.T, out string, lines int, args []string) *exec.Cmd {
	t.Helper()
	cmd := calmProcess(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		data, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
		if bytes.Count(data, []byte("\n")) >= lines {
			return cmd
		}
		time.Sleep(time.Millisecond)
	}
	_ = cmd.Process.Kill()
	t.Fatalf("metrics.jsonl never had %d lines", lines)
	return nil
}

// TestKill kills a training with SIGKILL several times, before its first checkpoint and later, and compares the result with a run
// that was not killed.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const steps = 300
	text, dir := tinyText(t), t.TempDir()
	ae := filepath.Join(dir, "frozen")
	must(t, trainTiny("ae", ae, text, "--steps", "3")...)
	for kind, more := range map[string][]string{
		"ae": {"--set", "save_steps=17"},
		"lm": {"--ae", ae, "--set", "save_steps=40", "--set", "eval_steps=50"},
	} {
		more = append(more, "--steps", fmt.Sprint(steps))
		whole, killed := filepath.Join(dir, kind), filepath.Join(dir, kind+"-killed")
		must(t, trainTiny(kind, whole, text, more...)...)
		args, kills := trainTiny(kind, killed, text, more...), 0
		for i, after := range []int{1, 20, 90, 150, 220} {
			cmd := startUntil(t, killed, after, args)
			time.Sleep(time.Duration(7*i) * time.Millisecond)
			_ = cmd.Process.Kill()
			var ended *exec.ExitError
			if errors.As(cmd.Wait(), &ended) {
				kills++ // otherwise it ended before the kill
			}
			args = []string{"train", "--resume", killed, "--threads", fmt.Sprint(1 + i%3)}
		}
		if kills < 2 {
			t.Errorf("%s: only %d kills before the end", kind, kills)
		}
		must(t, args...)
		if !bytes.Equal(weights(t, whole, steps), weights(t, killed, steps)) {
			t.Errorf("%s: the run that was killed %d times ended with other weights", kind, kills)
		}
		if a, b := fmt.Sprint(loggedSteps(t, whole)), fmt.Sprint(loggedSteps(t, killed)); a != b {
			t.Errorf("%s: metrics are of the steps\n%s, without kills\n%s", kind, b, a)
		}
		for _, leftover := range []string{".*.tmp", "state/.*"} {
			if found, _ := filepath.Glob(filepath.Join(killed, leftover)); len(found) > 0 {
				t.Errorf("%s: %v are left over", kind, found)
			}
		}
	}
}

// TestInterrupt ends a training with SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal): the status is 130, and the work so far is saved.
func TestInterrupt(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const steps = 400
	text, dir := tinyText(t), t.TempDir()
	whole, stopped := filepath.Join(dir, "whole"), filepath.Join(dir, "stopped")
	more := []string{"--steps", fmt.Sprint(steps), "--set", "save_steps=0"}
	must(t, trainTiny("ar", whole, text, more...)...)
	args := trainTiny("ar", stopped, text, more...)
	lines := func() int {
		data, _ := os.ReadFile(filepath.Join(stopped, "metrics.jsonl"))
		return bytes.Count(data, []byte("\n"))
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		before := lines() // a busy machine makes many steps before it is told to stop
		cmd := calmProcess(t, args...)
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if lines() > before+20 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the training does not begin")
			}
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		var ended *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != exitInterrupted {
			t.Fatalf("%v: %v, want status %d\n%s%s", signal, err, exitInterrupted, &out, &errOut)
		}
		if !strings.Contains(out.String(), "continue with: "+cmd.Path+" train --resume "+stopped+"\n") {
			t.Errorf("%v: it said %q", signal, &out)
		}
		logged := loggedSteps(t, stopped)
		if last := logged[len(logged)-1]; len(weights(t, stopped, last)) == 0 {
			t.Errorf("%v: an empty checkpoint of step %d", signal, last)
		}
		args = []string{"train", "--resume", stopped, "--threads", "2"}
	}
	must(t, args...)
	if !bytes.Equal(weights(t, whole, steps), weights(t, stopped, steps)) {
		t.Error("the run that was interrupted ended with other weights")
	}
	if a, b := fmt.Sprint(loggedSteps(t, whole)), fmt.Sprint(loggedSteps(t, stopped)); a != b {
		t.Errorf("metrics are of the steps\n%s, without interruption\n%s", b, a)
	}
}

// TestResumeNeedsItsText checks a run whose text is missing or has changed: resuming and measuring it are errors, and the run
// does not change.
func TestResumeNeedsItsText(t *testing.T) {
	text, out := tinyText(t), filepath.Join(t.TempDir(), "ae")
	must(t, trainTiny("ae", out, text, "--steps", "3")...)
	config, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, text, append(good, " and more"...))
	got := calmRun("train", "--resume", out, "--steps", "9")
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "the data has changed")
	if got = calmRun("eval", out); got.status != exitUsage { // its held-out part may contain training text
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "has changed since "+out)
	must(t, "eval", out, "--data", text)
	if err := os.Remove(text); err != nil {
		t.Fatal(err)
	}
	got = calmRun("train", "--resume", out, "--steps", "9")
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "text.txt: no such file or directory): put it back, or give its new place with --data")
	if got = calmRun("eval", out); got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "--data")
	if now, err := os.ReadFile(filepath.Join(out, "config.json")); err != nil || !bytes.Equal(now, config) {
		t.Errorf("the configuration was changed to\n%s", now)
	}
	replaceMissing(t, text, good)
	must(t, "eval", out)
	must(t, "train", "--resume", out, "--steps", "9")
}

func replaceMissing(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestResumeFinished checks that resuming a finished run, without a number of steps or with its own, changes nothing and says so.
// Fewer steps are refused.
func TestResumeFinished(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ae")
	must(t, trainTiny("ae", out, tinyText(t), "--steps", "3")...)
	before := files(t, out)
	delete(before, filepath.Join(out, ".lock")) // contains the id of the process
	for _, steps := range [][]string{nil, {"--steps", "3"}, {"--steps", "2"}, {"--steps", "1", "--minutes", "1"}} {
		if got := calmRun(append([]string{"train", "--resume", out}, steps...)...); len(steps) > 0 && steps[1] != "3" {
			if got.status != exitUsage {
				t.Errorf("%v: want status 2: %v", steps, got)
			}
			checkSentence(t, got, "has made 3 steps already: want more than 3")
		} else if got.status != 0 || !strings.Contains(got.out, "is finished after 3 steps: nothing to do") || got.errOut != "" {
			t.Errorf("%v: %v", steps, got)
		}
		after := files(t, out)
		delete(after, filepath.Join(out, ".lock"))
		if !maps.Equal(before, after) {
			t.Errorf("%v changed the run", steps)
		}
	}
}

// TestResumeNamesKind checks that "train KIND --resume RUN" accepts only the kind of the run.
func TestResumeNamesKind(t *testing.T) {
	r := tinyRuns(t)
	for kind, dir := range map[string]string{"ae": r.ae, "lm": r.lm, "ar": r.ar} {
		for _, word := range []string{"ae", "lm", "ar", "model"} {
			got := calmRun("train", word, "--resume", dir)
			if word == kind {
				if got.status != 0 || !strings.Contains(got.out, "is finished") {
					t.Errorf("train %s --resume of kind %s: %v", word, kind, got)
				}
				continue
			}
			if got.status != exitUsage {
				t.Errorf("train %s --resume of kind %s: want status 2: %v", word, kind, got)
			}
			checkSentence(t, got, "it is a run of kind "+kind)
		}
	}
	got := calmRun("train", "lm", "ae", "--resume", r.lm)
	if got.status != exitUsage {
		t.Errorf("two kinds: %v", got)
	}
}

// TestDivergedGoesOn checks that a run with a learning rate that is far too high ends with advice. Following it continues from the
// checkpoint before, or from the beginning, and succeeds. The change of the rate is shown.
func TestDivergedGoesOn(t *testing.T) {
	for _, save := range []int{0, 2} {
		out := filepath.Join(t.TempDir(), "ar")
		args := trainTiny("ar", out, tinyText(t), "--steps", "60", "--set", "learning_rate=1e5", "--set", "warmup_steps=12", "--set", "eval_steps=0", "--set", fmt.Sprint("save_steps=", save))
		got := calmRun(args...)
		_, message, _ := strings.Cut(got.errOut, "\n") // after a line of progress
		if want := "; `calm train --resume " + out + " --set learning_rate=50000` continues from the checkpoint before it\n"; got.status != exitFailed || !strings.HasSuffix(message, want) {
			t.Fatalf("want status 1 and %q: %v", want, got)
		}
		var step, from int
		if _, err := fmt.Sscanf(message, "calm: training diverged at step %d (", &step); err != nil || step < 4 {
			t.Fatalf("diverged at step %d, %v: %v", step, err, got)
		}
		must(t, "info", out) // the weights before that step are saved
		if save > 0 {
			from = (step - 2) / save * save
		}
		got = must(t, "train", "--resume", out, "--steps", "8", "--set", "learning_rate=1e-3", "--set", "logging_steps=2")
		for _, want := range []string{fmt.Sprintf("training diverged after step %d: going back to", step-1), fmt.Sprintf("from step %d: learning_rate 100000 -> 0.001\n", from+1)} {
			if !strings.Contains(got.errOut, want) || !strings.Contains(got.out, "8 steps in") {
				t.Errorf("want %q: %v", want, got)
			}
		}
		info := must(t, "info", out).out
		for _, want := range []string{"learning_rate 100000 -> 0.001", "logging_steps 1 -> 2", `"learning_rate": 0.001`} {
			if !strings.Contains(info, want) {
				t.Errorf("info does not say %q:\n%s", want, info)
			}
		}
		if got := object(t, must(t, "info", out, "--json").out)["changes"]; len(got.([]any)) != 2 {
			t.Errorf("info --json has the changes %v", got)
		}
	}
}

// TestResumeFrom continues from an earlier checkpoint and from the beginning. The result must be the same.
func TestResumeFrom(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ar")
	must(t, trainTiny("ar", out, tinyText(t), "--steps", "9", "--set", "save_steps=4", "--set", "eval_steps=3")...)
	want, logged := weights(t, out, 9), fmt.Sprint(loggedSteps(t, out))
	for _, from := range []string{"8", "9", "0"} {
		must(t, "train", "--resume", out, "--from", from)
		if !bytes.Equal(weights(t, out, 9), want) || fmt.Sprint(loggedSteps(t, out)) != logged {
			t.Errorf("from step %s: other weights or metrics", from)
		}
	}
	for want, args := range map[string][]string{
		"has checkpoints of the steps [8 9]": {"--resume", out, "--from", "5"},
		"--from":                             {"ae", "--out", out + "2", "--from", "5"},
		"has made 8 steps already":           {"--resume", out, "--from", "8", "--steps", "7"},
	} {
		before := files(t, filepath.Join(out, "state"))
		got := calmRun(append([]string{"train"}, args...)...)
		if got.status != exitUsage || !maps.Equal(before, files(t, filepath.Join(out, "state"))) {
			t.Errorf("%v: want status 2 and nothing changed: %v", args, got)
		}
		checkSentence(t, got, want)
	}
}

// TestResumeForMinutes checks that --minutes trains a finished run further.
func TestResumeForMinutes(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ar")
	must(t, trainTiny("ar", out, tinyText(t), "--steps", "3", "--set", "eval_steps=0")...)
	got := must(t, "train", "ar", "--resume", out, "--minutes", "0.002")
	_, after, _ := strings.Cut(got.out, "\n"+out+": ")
	var steps int
	if _, err := fmt.Sscanf(after, "%d steps in", &steps); err != nil || steps <= 3 {
		t.Errorf("%d steps: %v, %v", steps, got, err)
	}
}
