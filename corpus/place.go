package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/filelock"
)

// Free reports as an error why [Prepare] cannot write to dir without anything getting lost, and changes nothing. The
// directory may be missing or empty, or hold a prepared corpus, or the beginning of one and no other file.
func Free(dir string) error {
	if err := atomicfile.CanMake(dir); err != nil {
		return fmt.Errorf("prepare corpus: %w", err)
	}
	if IsPrepared(dir) {
		_, err := readManifest(dir) // a file of that name may be another's
		return err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("prepare corpus: %w", err)
	}
	begun := Begun(dir)
	for _, e := range entries {
		if !ours(e.Name(), begun) {
			return fmt.Errorf("prepare corpus: %s is in the way: choose a directory that is empty or does not exist", filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// ours tells of a file in a directory without a manifest whether a preparation makes it. The tokenizer is written after
// the shards.
func ours(name string, begun bool) bool {
	return name == filelock.Name || isShardName(name) || atomicfile.IsLeftover(name) || begun && name == tokenizerName
}

// Begun reports whether there are shards in dir, of a preparation that was stopped or is complete.
func Begun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, shardName(0)))
	return err == nil
}
