//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package filelock

import "os"

// lock does not: Go's packages for this system have no lock that ends with the process.
func lock(*os.File) error { return errUnsupported }
