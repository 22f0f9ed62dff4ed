package run

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// maxUp is how many directories above a run the tree can begin that it shares with its text.
const maxUp = 3

// near returns how config.json of the run in dir names text at absolute paths: relative to the run, with slashes, where
// both lie in one tree, which can move as a whole, and else as it is. The tree is the lowest directory that holds both; it
// is at most maxUp above the run, and not the whole file system.
func near(dir string, paths []string) []string {
	out := []string{}
	base, err := physical(dir)
	for _, p := range paths {
		if to, terr := physical(filepath.Dir(p)); err == nil && terr == nil {
			if rel, ok := within(base, filepath.Join(to, filepath.Base(p))); ok {
				p = rel
			}
		}
		out = append(out, p)
	}
	return out
}

// far undoes near.
func far(dir string, paths []string) []string {
	out := []string{}
	base, err := physical(dir)
	for _, p := range paths {
		if p = filepath.FromSlash(p); !filepath.IsAbs(p) && err == nil {
			p = filepath.Join(base, p)
		}
		out = append(out, p)
	}
	return out
}

// within returns the path p relative to base, with slashes, where the two are in one tree.
func within(base, p string) (string, bool) {
	rel, err := filepath.Rel(base, p)
	if err != nil {
		return "", false // on another drive
	}
	rel = filepath.ToSlash(rel)
	tree, up := base, 0
	for below := rel + "/"; strings.HasPrefix(below, "../"); below = below[3:] {
		tree, up = filepath.Dir(tree), up+1
	}
	return rel, up <= maxUp && filepath.Dir(tree) != tree
}

// physical returns the absolute path of a directory without links in it, also of one that is not there yet.
func physical(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		found, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(found, rest), nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return "", err
		}
		dir, rest = parent, filepath.Join(filepath.Base(dir), rest)
	}
}

// writeConfig writes config.json, which makes the directory a run.
func (m *Model) writeConfig(r *checkpoint.Run) error {
	paths := m.Data
	m.Data = near(m.Dir, paths)
	err := r.WriteConfig(m.configFile)
	m.Data = paths
	return err
}

// gone says of an error from reading the run's own text, where that is not there any more, what to do: a *UsageError.
func (m *Model) gone(err error) error {
	lost, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(lost, fs.ErrNotExist) || len(m.Data) == 0 {
		return err
	}
	return usage("%s: its text is not where it was (%w): put it back, or say where it is now with --data", m.Dir, lost)
}

// trainedOn reports whether the text is the one that the run was trained on, wherever it lies.
func (m *Model) trainedOn(text *corpus.Corpus) bool {
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return false
	}
	was, err := train.TrainedOn(r)
	return err == nil && was == text.Fingerprint()
}
