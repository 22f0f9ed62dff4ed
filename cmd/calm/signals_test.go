package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// saved checks that a process ended as after Ctrl-C, with a checkpoint of the last step that it logged.
func saved(t *testing.T, dir string, err error) {
	t.Helper()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != exitInterrupted {
		t.Errorf("the process ends with %v, want status %d", err, exitInterrupted)
		return
	}
	logged := loggedSteps(t, dir)
	if last := max(logged[len(logged)-1], -logged[len(logged)-1]); len(weights(t, dir, last)) == 0 {
		t.Errorf("an empty checkpoint of step %d", last)
	}
}

// TestSignalsTogether sends what a terminal, a shell and a service manager send together when they end. The first signal saves, and
// the others do not end the process before that.
func TestSignalsTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	text := tinyText(t)
	for _, signals := range [][]syscall.Signal{
		{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGHUP}, {syscall.SIGHUP, syscall.SIGTERM, syscall.SIGHUP}, {syscall.SIGTERM, syscall.SIGHUP}, {syscall.SIGINT, syscall.SIGHUP},
	} {
		out := filepath.Join(t.TempDir(), "ar")
		cmd := startUntil(t, out, 20, trainTiny("ar", out, text, "--steps", "100000", "--set", "save_steps=0", "--set", "eval_steps=0"))
		for _, s := range signals {
			if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond)
		}
		saved(t, out, cmd.Wait())
	}
}

// TestNohup: a process that was started to ignore SIGHUP trains on after it.
func TestNohup(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	if _, err := exec.LookPath("nohup"); err != nil {
		t.Skip(err)
	}
	out, text := filepath.Join(t.TempDir(), "ar"), tinyText(t)
	self := calmProcess(t, trainTiny("ar", out, text, "--steps", "400")...)
	cmd := exec.CommandContext(t.Context(), "nohup", self.Args...)
	cmd.Env = self.Env
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if data, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl")); bytes.Count(data, []byte("\n")) > 10 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the training does not begin: %s", &said)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), out+": 400 steps in ") {
		t.Errorf("%v: %s", err, &said)
	}
}

// TestClosedPipe ends the reader of a training's output, as `calm train 2>&1 | head -n 9` does. The steps made are saved, whichever
// output it is.
func TestClosedPipe(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	text := tinyText(t)
	for _, output := range []string{"both", "stdout", "stderr"} {
		out := filepath.Join(t.TempDir(), "ar")
		cmd := calmProcess(t, trainTiny("ar", out, text, "--steps", "600", "--set", "save_steps=0", "--set", "eval_steps=20")...)
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var other bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, writer
		switch output {
		case "stdout":
			cmd.Stderr = &other
		case "stderr":
			cmd.Stdout = &other
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		writer.Close()
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if output == "stdout" || strings.Contains(lines.Text(), "step 20, held out") {
				break
			}
		}
		reader.Close()
		err = cmd.Wait()
		if output == "stdout" { // it is written to at the beginning and at the end only: the run may be complete, or not begun
			m, oerr := os.ReadDir(filepath.Join(out, "state"))
			if oerr != nil || len(m) == 0 || err == nil {
				t.Errorf("stdout: %v, %v, %s", err, oerr, &other)
			}
			continue
		}
		saved(t, out, err)
		if logged := loggedSteps(t, out); logged[len(logged)-1] >= 600 {
			t.Errorf("%s: it trained to the end", output)
		}
	}
}

// TestClosedTerminal closes the terminal that a training runs in.
func TestClosedTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	out := filepath.Join(t.TempDir(), "ar")
	cmd := calmProcess(t, trainTiny("ar", out, tinyText(t), "--steps", "100000", "--set", "save_steps=0", "--set", "eval_steps=50")...)
	screen, err := pty.Start(cmd)
	if err != nil {
		t.Skip(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, err := screen.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl")); bytes.Count(data, []byte("\n")) > 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the training does not begin")
		}
	}
	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}
	saved(t, out, cmd.Wait())
}
