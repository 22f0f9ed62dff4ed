package filelock_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/filelock"
)

// lockAndWait is the environment variable that makes the test binary take a lock, print that it has it, and wait for a kill.
const lockAndWait = "CALM_TEST_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(lockAndWait); path != "" {
		lock, err := filelock.Acquire(path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		_ = lock.Close()
	}
	os.Exit(m.Run())
}

func TestAcquire(t *testing.T) {
	path := filepath.Join(t.TempDir(), filelock.Name)
	for range 2 { // closing releases it
		lock, err := filelock.Acquire(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = filelock.Acquire(path)
		if !errors.Is(err, filelock.ErrHeld) || !strings.HasSuffix(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
			t.Errorf("locked twice: %v", err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := filelock.Acquire(filepath.Join(path, "below a file")); err == nil || errors.Is(err, filelock.ErrHeld) {
		t.Errorf("a file that cannot be made: %v", err)
	}
}

// TestEndsWithItsProcess: the lock of another process ends when that process is killed.
func TestEndsWithItsProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filelock.Name)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), lockAndWait+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe() // held open, so that the process waits
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	_, err = filelock.Acquire(path)
	if !errors.Is(err, filelock.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
		t.Errorf("locked by process %d: %v", cmd.Process.Pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	lock, err := filelock.Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
}
