package interchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/filetype"
	"github.com/calm-go/calm/internal/interchange/hub"
	"github.com/calm-go/calm/run"
)

// free returns an error if dir cannot become the run. It is called before a download, which may take hours.
func free(dir string) error {
	err := checkpoint.Free(dir)
	if dir == "" {
		err = errors.New("the run directory to make has no name")
	}
	if err != nil {
		return &run.UsageError{Err: fmt.Errorf("import: %w", err)}
	}
	return nil
}

// local returns the directory of a model: src itself, or the directory to which the model of that name was downloaded.
func local(ctx context.Context, src string, log func(string)) (string, error) {
	if _, err := os.Stat(src); !errors.Is(err, fs.ErrNotExist) || !hub.IsName(src) {
		return src, nil
	}
	if log == nil {
		log = func(string) {}
	}
	dir, err := hub.Fetch(ctx, src, log)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("there is no directory %s, and on the hub: %w", src, err)
	}
	return dir, err
}

// place returns the absolute path of a directory that is to be made. It must be missing, an empty directory, or a link to one.
func place(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("the directory to write has no name")
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := atomicfile.CanMake(filepath.Dir(path)); err != nil { // it is written there under a temporary name
		return "", err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("%s is a link that leads nowhere: %w", dir, err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
		return "", fmt.Errorf("%s %w: choose a directory that is empty or does not exist", dir, checkpoint.ErrExists)
	}
	info, err := os.Stat(path)
	if here, herr := os.Stat("."); err == nil && herr == nil && os.SameFile(info, here) {
		return "", fmt.Errorf("the new directory would take the place of %s, where you are: name one below it", path)
	}
	return path, nil
}

// readable returns an error for a file that should be text and is not, such as a Git LFS pointer. It returns nil if the file
// cannot be read, since reading it later gives a better error.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	head := make([]byte, min(info.Size(), filetype.HeadBytes))
	if _, err := io.ReadFull(f, head); err != nil {
		return nil
	}
	if other := filetype.Mistaken(head, info.Size(), filetype.Text); other != "" {
		return &checkpoint.DamagedError{Path: path, Err: errors.New(other)}
	}
	return nil
}
