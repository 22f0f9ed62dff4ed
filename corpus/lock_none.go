//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package corpus

// lock does nothing where Go's syscall package has no flock.
func lock(string) (unlock func(), err error) { return func() {}, nil }
