package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// weights returns the final weights and moments of a run.
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

// loggedSteps returns the steps of metrics.jsonl, of measurements negative.
func loggedSteps(t *testing.T, dir string) []int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for line := range strings.Lines(string(data)) {
		var m struct {
			Step     int
			Measured bool
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m.Measured {
			m.Step = -m.Step
		}
		steps = append(steps, m.Step)
	}
	return steps
}

// startUntil starts training in a process of its own and waits until so many lines of metrics are there.
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
	t.Fatalf("%d lines of metrics did not come", lines)
	return nil
}

// TestKill kills training with SIGKILL again and again, before its first checkpoint and at moments that fall as they
// will, and compares what comes out in the end with a run that was left alone.
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
				kills++ // and not at its end before
			}
			args = []string{"train", "--resume", killed, "--threads", fmt.Sprint(1 + i%3)}
		}
		if kills < 2 {
			t.Errorf("%s: only %d kills struck", kind, kills)
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

// TestInterrupt ends training with Ctrl-C and SIGTERM: status 130, and all that was done is saved.
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
	for i, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := calmProcess(t, args...)
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			data, _ := os.ReadFile(filepath.Join(stopped, "metrics.jsonl"))
			if bytes.Count(data, []byte("\n")) > 30+100*i {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("training does not begin")
			}
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		var ended *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != exitInterrupted {
			t.Fatalf("%v: %v, want status %d\n%s%s", signal, err, exitInterrupted, &out, &errOut)
		}
		if !strings.Contains(out.String(), "go on with: "+cmd.Path+" train --resume "+stopped+"\n") {
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

// TestResumeNeedsItsText: a run whose text is gone or has changed says so and stays as it is.
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
	if err := os.Remove(text); err != nil {
		t.Fatal(err)
	}
	got = calmRun("train", "--resume", out, "--steps", "9")
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "text.txt")
	if now, err := os.ReadFile(filepath.Join(out, "config.json")); err != nil || !bytes.Equal(now, config) {
		t.Errorf("the configuration was changed to\n%s", now)
	}
	replaceMissing(t, text, good)
	must(t, "train", "--resume", out, "--steps", "9")
}

func replaceMissing(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
