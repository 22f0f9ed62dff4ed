package run

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/loop"
)

// maxUp is how many levels above a run the lowest directory that contains the run and its text may be. Up to there, the path
// of the text is saved relative to the run.
const maxUp = 3

// near returns the paths of the text as config.json of the run in dir has them. The path of a text near the run becomes
// relative to the run, with slashes: run and text can then be moved together. A text is near if the lowest directory that
// contains both is at most maxUp levels above the run, and is not the root of the file system. Other paths stay absolute.
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

// far turns paths made by near into absolute ones.
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

// within returns the path p relative to base, with slashes, and whether p is near base, as near defines it.
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

// physical returns the absolute path of a directory, with symbolic links resolved. The directory need not exist.
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

// gone turns an error from reading the run's own text into a *UsageError that says what to do, if the text does not exist any
// more. It returns other errors as they are.
func (m *Model) gone(err error) error {
	lost, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(lost, fs.ErrNotExist) || len(m.Data) == 0 {
		return err
	}
	return usage("%s: its text is missing (%w): put it back, or give its new place with --data", m.Dir, lost)
}

// fingerprint returns that of the text which the run was trained on. known is false for a run without checkpoints, such as an
// imported one.
func (m *Model) fingerprint() (was corpus.Fingerprint, known bool, err error) {
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return was, false, err
	}
	state, err := loop.ReadState(r)
	switch {
	case errors.Is(err, checkpoint.ErrNoCheckpoint):
		return was, false, nil
	case err != nil:
		return was, false, fmt.Errorf("compare the text with what %s was trained on: %w", m.Dir, err)
	}
	return state.Data, true, nil
}

// trainedOn reports whether the text is the one that the run was trained on, wherever it lies.
func (m *Model) trainedOn(text *corpus.Corpus) bool {
	was, known, err := m.fingerprint()
	return err == nil && known && was == text.Fingerprint()
}
