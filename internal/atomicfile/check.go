package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CanWrite returns an error if Write would fail at path, so that long work can check before it begins. Reasons are a directory at
// path, or a directory around it where no file can be made.
func CanWrite(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("it is a directory; want a file")
	case err == nil && !info.Mode().IsRegular():
		return nil // a device or a pipe
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no directory %s", dir)
	}
	return probe(dir)
}

// CanMake returns an error if no file can be made in the directory dir. dir and the directories around it need not exist; then it
// checks whether they can be made.
func CanMake(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.IsDir() {
			return probe(at)
		}
		if err == nil {
			return fmt.Errorf("%s is a file", at)
		}
		if _, lerr := os.Lstat(at); lerr == nil && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is a link to nothing", at)
		}
		if at == filepath.Dir(at) {
			return err
		}
	}
}

// probe makes a file in dir and removes it, and the files of probes that were killed. Permissions are not enough to know: some file
// systems have none, and some allow no new files at all.
func probe(dir string) error {
	path := filepath.Join(dir, "probe")
	name := TempName(path)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("nothing can be made in %s: %w", dir, path.Err)
	}
	if err != nil {
		return err
	}
	err = errors.Join(f.Close(), removed(os.Remove(name))) // another probe may have removed it
	left, _ := Temps(path)
	for _, name := range left {
		_ = os.Remove(name)
	}
	return err
}
