// Package atomicfile writes files that are either whole or absent.
//
// A file is written beside its destination, synced, renamed into place, and the directory that holds it is synced:
// a process killed at any moment, a full disk or a power failure leaves the old file or the new one, never a mixture.
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

// Suffix ends the names of unfinished files; with the leading dot it marks what RemoveLeftovers may remove.
const Suffix = ".tmp"

// Write replaces the file at path by what fill writes. When fill, or anything after it, fails, the old file stands
// untouched and nothing is left beside it. A path that is a device or a pipe is written to directly.
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
		path = target // a link keeps pointing where it did
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

// FillNew creates the file at path, which must not exist, and syncs what fill wrote to it. On an error the file is
// removed. The directory is not synced: that is for whoever gives the file its final name.
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

// RemoveLeftovers removes what killed writers left in dir: hidden files and directories whose names end in Suffix.
// Call it only where no other process writes.
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

// IsLeftover reports whether a file name is one that an unfinished write uses.
func IsLeftover(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, Suffix)
}

// TempName is a name beside path, in the same directory so that a rename is one step, that no other writer uses; see IsLeftover.
func TempName(path string) string {
	dir, base := filepath.Split(path)
	return filepath.Join(dir, "."+base+"."+strconv.FormatUint(uint64(rand.Uint32()), 36)+Suffix)
}

// Temps returns what lies beside path under names that TempName gave it.
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

// removed is nil for a file that is gone, however it went.
func removed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
