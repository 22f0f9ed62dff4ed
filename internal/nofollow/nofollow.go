// Package nofollow opens files that calm made and writes to again, such as the lock and the metrics of a run. If somebody put a
// link in the place of such a file, writing to it would change a file elsewhere.
package nofollow

import (
	"errors"
	"io/fs"
	"os"
)

// errLink is the reason for not opening a link.
var errLink = errors.New("it is a link, and calm would write to the file that it leads to: remove the link")

// Open is os.OpenFile for regular files: the last element of path may be neither a link nor a pipe, a device or a directory. Where
// the operating system cannot refuse links itself, a link that is made at the same moment is followed.
func Open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flag|noFollow, perm)
}

// Check returns an error if path exists and is not a regular file.
func Check(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil || info.Mode().IsRegular():
		return nil // a missing file may be created; other errors come again on opening
	case info.Mode()&fs.ModeSymlink != 0:
		err = errLink
	default:
		err = errors.New("it is not a regular file")
	}
	return &fs.PathError{Op: "open", Path: path, Err: err}
}

// CheckDir returns an error if path is a link.
func CheckDir(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a link, and calm would write to the directory that it leads to: put the directory itself there")}
	}
	return nil
}
