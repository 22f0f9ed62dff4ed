//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package corpus

import (
	"errors"
	"os"
	"syscall"
)

// lock keeps a second preparation out of the directory. The lock ends with the
// process, however it ends.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another process is preparing this directory")
		}
		return func() {}, nil // a file system without locks
	}
	return func() { d.Close() }, nil
}
