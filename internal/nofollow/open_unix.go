//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package nofollow

import "syscall"

// noFollow makes the system refuse to open a link.
const noFollow = syscall.O_NOFOLLOW
