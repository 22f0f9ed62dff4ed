package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// full is a writer that fails after room bytes.
type full struct{ room int }

var errFull = errors.New("the disk is full")

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// TestLostOutput checks that every command whose output cannot be written fails with one sentence, at the first byte and later.
func TestLostOutput(t *testing.T) {
	r, dir := tinyRuns(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, "export", r.ae, at("exported"))
	bench := func(verb string, more ...string) []string {
		return append(append([]string{"bench", verb, "--seconds", "0.001", "--threads", "1"}, tinyBench...), more...)
	}
	for _, args := range [][]string{
		{"--help"}, {"train", "--help"}, {"tokenizer"},
		trainTiny("ar", at("ar"), r.text, "--steps", "1"), {"train", "--resume", r.ae},
		{"eval", r.ae}, {"eval", r.ae, "--json"}, {"eval", r.lm, "--blocks", "2"}, {"eval", r.ar, "--blocks", "2"},
		{"generate", r.lm, "--prompt", "the"}, {"generate", r.ar, "--ids", "116"},
		{"info", r.ae}, {"info", r.ae, "--json"}, {"export", r.ae, at("again")}, {"import", at("exported"), at("back")},
		{"tokenizer", "train", "--out", at("t.json"), "--data", r.text, "--vocab", "280"}, {"tokenizer", "encode"}, {"tokenizer", "decode"},
		{"data", "prepare", "--out", at("prepared"), "--data", r.text}, {"data", "info", r.text},
		bench("train", "--preset", "lm-bytes"), bench("train", "--preset", "lm-bytes", "--json"),
	} {
		for _, room := range []int{0, 1} {
			var errOut bytes.Buffer
			status := execute(args, strings.NewReader("65 66"), &full{room}, &errOut)
			lines := strings.Split(strings.TrimSuffix(errOut.String(), "\n"), "\n")
			if last := lines[len(lines)-1]; status != exitFailed || last != "calm: the output is lost: the disk is full" || strings.Count(errOut.String(), "calm: ") != 1 {
				t.Errorf("calm %s, with room for %d bytes: status %d, %q", strings.Join(args, " "), room, status, &errOut)
			}
			for _, made := range []string{"ar", "again", "back", "t.json", "prepared"} {
				if err := os.RemoveAll(at(made)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestLostOutputOfAnError checks that the error of a command is reported rather than the error of its output.
func TestLostOutputOfAnError(t *testing.T) {
	r := tinyRuns(t)
	var errOut bytes.Buffer
	status := execute([]string{"generate", r.lm, "--prompt", "the whale", "--temperature", "0.1", "--sampler", "exact", "--draws", "12"}, strings.NewReader(""), &full{0}, &errOut)
	if status != exitFailed || strings.Count(errOut.String(), "\n") != 1 || !strings.Contains(errOut.String(), "patch ") {
		t.Errorf("status %d, %q", status, &errOut)
	}
}

// TestOutputOfProcess runs the command as a process. Its output goes to a device that is always full, and to a closed pipe. The
// closed pipe must end the process by SIGPIPE, as usual for commands.
func TestOutputOfProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer device.Close()
	cmd := calmProcess(t, "train", "--help")
	var errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = device, &errOut
	var ended *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &ended) || ended.ExitCode() != exitFailed || !strings.Contains(errOut.String(), "no space left") {
		t.Errorf("%v, %q", err, &errOut)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader.Close()
	cmd = calmProcess(t, "train", "--help")
	errOut.Reset()
	cmd.Stdout, cmd.Stderr = writer, &errOut
	if err := cmd.Run(); !errors.As(err, &ended) || errOut.Len() > 0 {
		t.Errorf("%v, %q", err, &errOut)
	} else if s, ok := ended.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGPIPE {
		t.Errorf("ended by %v", err)
	}
}
