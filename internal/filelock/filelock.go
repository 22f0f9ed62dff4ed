// Package filelock keeps two processes from working on one directory, by a lock on a file in it that ends with its
// process, however that ends.
package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Name is the file that directories are locked by.
const Name = ".lock"

// ErrHeld says that another process, or this one, has the lock.
var ErrHeld = errors.New("in use by another process")

// errUnsupported says that a file system has no locks.
var errUnsupported = errors.New("no locks here")

// Acquire takes the lock on the file at path, which it creates where it is missing, and does not wait: an error that is
// ErrHeld names the process that has it. Closing the file gives the lock back. The file stays: removing it would let two
// processes lock two files of one name. On a file system without locks there is none: better unlocked than not at all.
func Acquire(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	switch err := lock(f); {
	case errors.Is(err, ErrHeld):
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return nil, fmt.Errorf("%w (process %s)", ErrHeld, strings.TrimSpace(string(pid)))
	case errors.Is(err, errUnsupported):
		return f, nil
	case err != nil:
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	if err := f.Truncate(0); err == nil { // the number is only for the message above
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
	return f, nil
}
