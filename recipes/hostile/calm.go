//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// timeout is the time after which a command counts as hanging.
const timeout = 3 * time.Minute

// command is how a process of calm is started and ended.
type command struct {
	args   []string
	limit  string         // a shell's ulimit, such as "-f 64"; "" for none
	env    []string       // further variables
	signal syscall.Signal // sent after a time; 0: none
	after  time.Duration  // that time
	memory bool           // the process may end for lack of memory, as Go's runtime ends it
}

// ended is how it ended.
type ended struct {
	status int    // -1: by a signal
	out    string // standard output
	text   string // both outputs
}

// crashed matches the output of a program that Go's runtime ends.
var crashed = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ \[|SIG[A-Z]+:|unexpected fault address)`)

// outOfMemory matches the output of Go's runtime, and of libraries, for lack of memory.
var outOfMemory = regexp.MustCompile(`out of memory|cannot allocate memory|failed to (create new OS thread|reserve|allocate)|pthread_create|runtime: mmap|unable to allocate`)

// do starts calm and waits for its end. A crash, an endless run and a failure without a sentence are failures of the round.
func (r *round) do(c command) ended {
	ctx, stop := context.WithTimeout(context.Background(), timeout)
	defer stop()
	cmd := exec.CommandContext(ctx, r.calm, c.args...)
	if c.limit != "" {
		cmd = exec.CommandContext(ctx, "bash", append([]string{"-c", "ulimit " + c.limit + ` && exec "$0" "$@"`, r.calm}, c.args...)...)
	}
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Dir = r.dir
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		r.fail("%v", err)
		return ended{status: -1}
	}
	if c.signal != 0 {
		timer := time.AfterFunc(c.after, func() {
			if cmd.Process.Signal(c.signal) == nil {
				r.fault()
			}
		})
		defer timer.Stop()
	}
	err := cmd.Wait()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.count.maxMB = max(r.count.maxMB, usage.Maxrss/1024) // on Linux in KiB
	}
	e := ended{status: cmd.ProcessState.ExitCode(), out: out.String(), text: errOut.String() + "\n" + out.String()}
	line := strings.Join(c.args, " ")
	switch killed := errors.Is(ctx.Err(), context.DeadlineExceeded); {
	case killed:
		r.fail("calm %s does not end in %v", line, timeout)
	case c.memory && e.status != 0 && outOfMemory.MatchString(e.text):
	case crashed.MatchString(e.text):
		r.fail("calm %s crashes: %.3000s", line, e.text)
	case err != nil && c.signal == 0 && !strings.Contains(e.text, "calm: "):
		r.fail("calm %s ends with %v and without a sentence: %.1000s", line, err, e.text)
	case e.status > 0:
		r.count.refused++
	}
	return e
}

// must starts calm, which must succeed.
func (r *round) must(args ...string) bool {
	e := r.do(command{args: args})
	if e.status != 0 {
		r.fail("calm %s: status %d: %.2000s", strings.Join(args, " "), e.status, e.text)
	}
	return e.status == 0
}

// tree returns the contents of the files below dir by name, without the lock and times that differ from run to run.
func tree(dir string) map[string]string {
	all := map[string]string{}
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == ".lock" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			data = []byte(err.Error())
		}
		rel, _ := filepath.Rel(dir, path)
		all[rel] = string(data)
		return nil
	})
	return all
}

// leftovers returns the names of temporary files below dir.
func leftovers(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(e.Name(), ".tmp") {
			names = append(names, path)
		}
		return nil
	})
	return names
}

// weights returns the weights and the optimizer's state of a run's checkpoint.
func weights(dir string, step int) string {
	var all string
	for _, name := range []string{"model.safetensors", "optimizer.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, "state", fmt.Sprint("step-", step), name))
		if err != nil {
			return err.Error()
		}
		all += string(data)
	}
	return all
}
