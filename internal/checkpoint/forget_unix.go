//go:build linux || darwin

package checkpoint

import "golang.org/x/sys/unix"

// forget is a hint: an error changes nothing but the memory in use.
func forget(mapping []byte) { _ = unix.Madvise(mapping, unix.MADV_DONTNEED) }
