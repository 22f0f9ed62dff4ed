package quickstart

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
)

// free returns an error if a run directory cannot be made. What a quickstart leaves that was killed before it trained anything is no
// hindrance. If it left trained runs, the error names the commands that do the rest.
func (q *quickstart) free() error {
	for _, dir := range []string{AEDir(q.Out), q.Out} {
		err := checkpoint.Free(dir)
		if err == nil {
			continue
		}
		if !errors.Is(err, checkpoint.ErrExists) {
			return err
		}
		err = fmt.Errorf("%s exists already: choose another directory with --out", dir)
		if ae, lm := kindIn(AEDir(q.Out)), kindIn(q.Out); ae == run.AE && lm == run.LM {
			return fmt.Errorf("%w, or continue the run in it with `%s`", err, q.Command("train", "--resume", q.Out))
		} else if ae == run.AE && checkpoint.Free(q.Out) == nil {
			return fmt.Errorf("%w, or continue with the autoencoder in it: `%s && %s`", err, q.Command("train", "--resume", AEDir(q.Out)), q.Command(q.lmCommand()...))
		}
		return err
	}
	return nil
}

// kindIn returns the kind of the run in dir, or "" if there is none.
func kindIn(dir string) run.Kind {
	m, err := run.Describe(dir, false)
	if err != nil {
		return ""
	}
	return m.Kind
}

// kept adds to an error the autoencoder that is kept, if it is trained. The report of a stop names it already.
func (q *quickstart) kept(err error) error {
	if errors.Is(err, context.Canceled) || q.result.Steps[0] == 0 && !errors.Is(err, ErrGoal) {
		return err
	}
	return fmt.Errorf("%w (the autoencoder is kept in %s)", err, AEDir(q.Out))
}

func isRun(dir string) bool {
	_, err := checkpoint.OpenRun(dir)
	return err == nil
}

// FreeDir returns the first of dir, dir-2, dir-3 .. where neither run directory exists, except for what a quickstart leaves that was
// killed before it trained anything.
func FreeDir(dir string) string {
	for i := 1; ; i++ {
		name := dir
		if i > 1 {
			name = fmt.Sprintf("%s-%d", dir, i)
		}
		if unused(name) && unused(AEDir(name)) {
			return name
		}
	}
}

// unused reports whether dir does not exist, or holds only what a killed creation of a run left.
func unused(dir string) bool {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		_, err := os.Lstat(dir)
		return errors.Is(err, os.ErrNotExist)
	}
	return err == nil && len(entries) > 0 && checkpoint.Free(dir) == nil
}
