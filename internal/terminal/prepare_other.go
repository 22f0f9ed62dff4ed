//go:build !windows

package terminal

import "os"

// prepare reports whether a terminal interprets escape sequences.
func prepare(*os.File) bool { return true }
