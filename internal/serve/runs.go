package serve

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
)

// served is a run that is served, without its weights.
type served struct {
	name        string
	dir         string
	about       *run.Model // its configuration and tokenizer
	created     time.Time
	template    *template    // of chats; nil: a plain transcript
	fingerprint atomic.Value // string, of the weights that were loaded last
}

// describe reads what there is to know of runs before their weights are needed.
func describe(dirs []string) ([]*served, error) {
	names, err := namesOf(dirs)
	if err != nil {
		return nil, err
	}
	var all []*served
	for i, dir := range dirs {
		about, err := run.Describe(dir, false)
		if err != nil {
			return nil, err
		}
		r := &served{name: names[i], dir: dir, about: about}
		if info, err := os.Stat(filepath.Join(dir, checkpoint.ConfigFile)); err == nil {
			r.created = info.ModTime()
		}
		if r.template, err = readTemplate(dir, about); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// namesOf returns a model's name for each run directory: its last element, with as many of those before it as it takes to tell
// it from the others. The same directory twice is a *run.UsageError.
func namesOf(dirs []string) ([]string, error) {
	parts := make([][]string, len(dirs))
	for i, dir := range dirs {
		whole, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		parts[i] = strings.FieldsFunc(filepath.ToSlash(whole), func(r rune) bool { return r == '/' })
		for j := range i {
			if slices.Equal(parts[i], parts[j]) {
				return nil, &run.UsageError{Err: fmt.Errorf("%s is given twice: a run is served once", dir)}
			}
		}
	}
	names := make([]string, len(dirs))
	for i, p := range parts {
		n := 1
		for j, other := range parts {
			for j != i && n < len(p) && endsIn(other, p[max(0, len(p)-n):]) {
				n++
			}
		}
		names[i] = cmp.Or(strings.Join(p[max(0, len(p)-n):], "/"), "run")
	}
	return names, nil
}

func endsIn(path, end []string) bool {
	return len(path) >= len(end) && slices.Equal(path[len(path)-len(end):], end)
}

// ErrNoRun is returned by Newest where there is no run that can write.
var ErrNoRun = errors.New("no run that can write")

// Newest returns the run below a directory that can write and was saved last. It looks two levels deep.
func Newest(root string) (string, error) {
	newest, when := "", time.Time{}
	for _, pattern := range []string{"*", "*/*"} {
		dirs, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return "", err
		}
		for _, dir := range dirs {
			about, err := run.Describe(dir, false)
			if err != nil || !about.Writes() {
				continue
			}
			if saved, err := os.Stat(filepath.Join(dir, checkpoint.ModelFile)); err == nil && saved.ModTime().After(when) {
				newest, when = dir, saved.ModTime()
			}
		}
	}
	if newest == "" {
		return "", ErrNoRun
	}
	return newest, nil
}
