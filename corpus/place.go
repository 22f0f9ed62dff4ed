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

// Free returns an error if [Prepare] cannot write to dir without a loss of files. It changes nothing. The directory may be
// missing or empty, or hold a prepared corpus, or only the beginning of one.
func Free(dir string) error {
	if err := atomicfile.CanMake(dir); err != nil {
		return fmt.Errorf("prepare corpus: %w", err)
	}
	if IsPrepared(dir) {
		_, err := readManifest(dir) // another program's file may have that name
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

// ours reports whether a preparation makes a file of that name in a directory without a manifest. The tokenizer is written
// after the shards, so it counts only where a shard exists.
func ours(name string, begun bool) bool {
	return name == filelock.Name || isShardName(name) || atomicfile.IsLeftover(name) || begun && name == tokenizerName
}

// Begun reports whether dir has shards, of a complete or an interrupted preparation.
func Begun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, shardName(0)))
	return err == nil
}
