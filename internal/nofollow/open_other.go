//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package nofollow

// noFollow is empty: Check alone finds links on this system.
const noFollow = 0
