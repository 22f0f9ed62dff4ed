package atomicfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/internal/nofollow"
)

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

// temporary creates a temporary file for path. The file is locked until it is closed: a temporary file without a lock is one of a
// killed writer, which removeDead removes. Where locks are missing, removeDead removes nothing.
func (d *Disk) temporary(path string) (*File, error) {
	for {
		f, err := d.create(TempName(path))
		if err != nil || runtime.GOOS == "windows" {
			return f, err
		}
		err = filelock.Try(f.File)
		if _, gone := os.Lstat(f.Name()); err == nil && gone == nil || errors.Is(err, filelock.ErrUnsupported) {
			return f, nil
		}
		// Another writer of the same file took it for a dead one, between its creation and its lock.
		f.Close()
		_ = os.Remove(f.Name())
		if err != nil && !errors.Is(err, filelock.ErrHeld) {
			return nil, err
		}
	}
}

// removeDead removes the temporary files that killed writers left for path. What cannot be removed stays: it does no harm.
func (d *Disk) removeDead(path string) {
	temps, err := Temps(path)
	if err != nil || runtime.GOOS == "windows" { // no lock is held there while a file is renamed
		return
	}
	for _, temp := range temps {
		f, err := nofollow.Open(temp, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if filelock.Try(f) == nil {
			_ = d.RemoveAll(temp)
		}
		f.Close()
	}
}

// removed returns err, or nil if it says that the file does not exist.
func removed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
