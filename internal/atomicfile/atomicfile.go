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
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Suffix ends the names of temporary files, which also begin with a dot. RemoveLeftovers may remove such files.
const Suffix = ".tmp"

// Write replaces the content of the file at path by what fill writes. After an error, the old file is unchanged and no temporary
// file is left. Temporary files that killed writers left for this path are removed. A link is followed: the file that it leads to
// is replaced. A device or a pipe is written to directly.
func Write(path string, fill func(w io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return writeDirectly(path, fill)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return new(Disk).WriteFile(path, fill)
}

// WriteFile is Write on this disk for a file that belongs to calm: a link at path is replaced by the file, not followed.
func (d *Disk) WriteFile(path string, fill func(w io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return fmt.Errorf("write %s: it is a directory", path)
	}
	d.removeDead(path)
	f, err := d.temporary(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer f.Close() // it was synced; closing it ends the lock
	err = f.fill(fill)
	if err == nil {
		if runtime.GOOS == "windows" {
			f.Close() // an open file cannot be renamed there
		}
		err = d.Commit(f.Name(), path)
	}
	if err != nil {
		f.Close() // an open file cannot be removed on Windows
		_ = d.RemoveAll(f.Name())
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
	err = f.fill(fill)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = d.RemoveAll(path)
	}
	return err
}

// fill writes what fill writes, and syncs it.
func (f *File) fill(fill func(w io.Writer) error) error {
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
