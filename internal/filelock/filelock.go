// Package filelock keeps two processes from working on the same directory. It locks a file in the directory. The lock ends when
// its process ends, even if the process is killed.
package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/calm-go/calm/internal/nofollow"
)

// Name is the name of the lock file in a directory.
const Name = ".lock"

// ErrHeld is returned when another process, or this one, has the lock.
var ErrHeld = errors.New("in use by another process")

// ErrUnsupported is returned by Try on a file system without locks.
var ErrUnsupported = errors.New("no locks here")

// Try locks an open file until it is closed. It does not wait: the error is ErrHeld if the file is locked through another opening
// of it, by this process or another one.
func Try(f *os.File) error { return lock(f) }

// Acquire takes the lock on the file at path, which it creates if it is missing. It does not wait: if another process has the
// lock, the error is ErrHeld and names the process. Close releases the lock. The file stays, since removing it would let two
// processes lock two files with the same name. On a file system without locks Acquire succeeds without a lock. A link at path is an
// error.
func Acquire(path string) (io.Closer, error) {
	f, err := nofollow.Open(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	switch err := lock(f); {
	case errors.Is(err, ErrHeld):
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return nil, fmt.Errorf("%w (process %s)", ErrHeld, strings.TrimSpace(string(pid)))
	case errors.Is(err, ErrUnsupported):
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
