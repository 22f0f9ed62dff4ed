package checkpoint

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary the trainer that TestKilledProcess kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CALM_TEST_TRAIN"); dir != "" {
		trainForever(dir)
	}
	os.Exit(m.Run())
}

// trainForever saves one checkpoint after the other, beginning after the newest one, and prints their steps.
func trainForever(dir string) {
	fail := func(err error) {
		if err != nil {
			os.Stdout.WriteString("error " + err.Error() + "\n")
			os.Exit(1)
		}
	}
	r, err := ResumeRun(dir)
	fail(err)
	s, err := r.Latest()
	fail(err)
	for step := s.Step + 1; ; step++ {
		fail(r.AppendMetrics(map[string]int{"step": step}))
		fail(r.Save(step, stateAt(step)))
		os.Stdout.WriteString(strconv.Itoa(step) + "\n")
	}
}

// TestKilledProcess kills a process that saves checkpoints all the time, again and again at random moments.
func TestKilledProcess(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	r := newRun(t, 1)
	r.Close()
	last := 1
	const rounds = 12
	for round := range rounds {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "CALM_TEST_TRAIN="+r.Dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 2 {
			if lines.Scan() {
				if last, err = strconv.Atoi(lines.Text()); err != nil {
					t.Fatalf("the trainer says %q", lines.Text())
				}
			}
		}
		time.Sleep(time.Duration(round*700) * time.Microsecond) // at another moment in every round
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = n
			} else {
				t.Fatalf("the trainer says %q", lines.Text())
			}
		}
		_ = cmd.Wait()

		r, err := ResumeRun(r.Dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Latest()
		if err != nil {
			t.Fatal(err)
		}
		checkSaved(t, s)
		if s.Step < last || s.Step > last+1 || len(s.Warnings) > 0 {
			t.Errorf("round %d: resumes at %d, warnings %q; %d was saved", round, s.Step, s.Warnings, last)
		}
		noLeftovers(t, r)
		if _, err := r.TrimMetrics(s.Step); err != nil {
			t.Error(err)
		}
		data, err := os.ReadFile(filepath.Join(r.Dir, MetricsFile))
		if n := strings.Count(string(data), "\n"); err != nil || n != s.Step-1 {
			t.Errorf("round %d: %d lines of metrics after step %d, %v", round, n, s.Step, err)
		}
		s.Close()
		r.Close()
	}
	if last < 2*rounds {
		t.Errorf("the trainers saved only %d checkpoints in %d rounds", last, rounds)
	}
}
