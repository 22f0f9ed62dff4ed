// Package atomicfile replaces files atomically.
//
// A file is written under a temporary name in the same directory, synced, and renamed into place. Then the directory is
// synced. After a kill, a full disk or a power failure at any moment, the file has its old content or its new content, never a
// part of either.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Suffix ends the names of temporary files, which also begin with a dot. RemoveLeftovers may remove such files.
const Suffix = ".tmp"

// Write replaces the content of the file at path by what fill writes. After an error, the old file is unchanged and no temporary
// file is left. A device or a pipe is written to directly.
func Write(path string, fill func(w io.Writer) error) error {
	return new(Disk).WriteFile(path, fill)
}

// WriteFile is Write on this disk.
func (d *Disk) WriteFile(path string, fill func(w io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("write %s: it is a directory", path)
		}
		return writeDirectly(path, fill)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // replace the file that a link points to, not the link
	}
	temp := TempName(path)
	if err := d.FillNew(temp, fill); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := d.Commit(temp, path); err != nil {
		_ = d.RemoveAll(temp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Commit renames a file whose content is synced to its final name, in the same directory, and syncs the directory.
func (d *Disk) Commit(temp, path string) error {
	if err := d.Rename(temp, path); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(path))
}

// FillNew creates a file at path, which must not exist, with the content that fill writes, and syncs it. After an error the
// file is removed. The directory is not synced; Commit does that.
func (d *Disk) FillNew(path string, fill func(w io.Writer) error) (err error) {
	f, err := d.create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = e
		}
		if err != nil {
			_ = d.RemoveAll(path)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<18)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// RemoveLeftovers removes the temporary files of killed writers in dir: hidden files and directories whose names end in Suffix.
// No other process may write to dir meanwhile.
func (d *Disk) RemoveLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if IsLeftover(e.Name()) {
			errs = append(errs, d.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// IsLeftover reports whether a file name is that of a temporary file.
func IsLeftover(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, Suffix)
}

// TempName returns a random temporary name for path, in the same directory, so that a rename is atomic.
func TempName(path string) string {
	dir, base := filepath.Split(path)
	return filepath.Join(dir, "."+base+"."+strconv.FormatUint(uint64(rand.Uint32()), 36)+Suffix)
}

// Temps returns the files whose names TempName made for path.
func Temps(path string) ([]string, error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	var temps []string
	for _, e := range entries {
		number, of := strings.CutPrefix(e.Name(), "."+base+".")
		number, temp := strings.CutSuffix(number, Suffix)
		if _, err := strconv.ParseUint(number, 36, 32); of && temp && err == nil {
			temps = append(temps, filepath.Join(dir, e.Name()))
		}
	}
	return temps, nil
}

func writeDirectly(path string, fill func(w io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// removed returns err, or nil if it says that the file does not exist.
func removed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
