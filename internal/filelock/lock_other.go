//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package filelock

import "os"

// lock is not supported: Go's packages for this system have no lock that ends with its process.
func lock(*os.File) error { return ErrUnsupported }
