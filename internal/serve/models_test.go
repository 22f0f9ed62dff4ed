package serve

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

func TestNamesOf(t *testing.T) {
	for _, c := range []struct{ dirs, want []string }{
		{[]string{"runs/a"}, []string{"a"}},
		{[]string{"runs/a", "runs/b/"}, []string{"a", "b"}},
		{[]string{"x/a", "y/a", "b"}, []string{"x/a", "y/a", "b"}},
		{[]string{"p/x/a", "q/x/a", "y/a"}, []string{"p/x/a", "q/x/a", "y/a"}},
		{[]string{"/a", "/b/a"}, []string{"a", "b/a"}},
		{[]string{"/"}, []string{"run"}},
	} {
		if got, err := namesOf(c.dirs); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.dirs, got, err, c.want)
		}
	}
	var usage *run.UsageError
	if _, err := namesOf([]string{"runs/a", "runs/../runs/a/"}); !errors.As(err, &usage) {
		t.Errorf("the same run twice: %v", err)
	}
}

// unopened returns models that are opened by a function, without files.
func unopened(names string, max int, open func(*served) (*calm.Model, error)) *models {
	var runs []*served
	for _, name := range strings.Split(names, "") {
		runs = append(runs, &served{name: name})
	}
	return newModels(runs, max, open)
}

// untrained returns an autoencoder that opens and closes like that of a run.
func untrained(*served) (*calm.Model, error) {
	r, err := run.Shape("quickstart", run.AE, false, nil)
	if err != nil {
		return nil, err
	}
	r.Tokenizer = tokenizer.Bytes()
	return calm.New(r, 1)
}

// isOpen reports whether a model is not closed.
func isOpen(m *calm.Model) bool {
	_, err := m.EncodeIDs(nil)
	return !errors.Is(err, calm.ErrClosed)
}

// TestMaxLoaded checks that the model which was used least recently makes room for another, unless it is in use.
func TestMaxLoaded(t *testing.T) {
	ctx := t.Context()
	m := unopened("abc", 2, untrained)
	a, releaseA, err := m.acquire(ctx, m.runs[0])
	if err != nil {
		t.Fatal(err)
	}
	b, releaseB, err := m.acquire(ctx, m.runs[1])
	if err != nil {
		t.Fatal(err)
	}
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if _, _, err := m.acquire(short, m.runs[2]); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third model while two are used: %v", err)
	}
	third := make(chan error)
	go func() {
		_, release, err := m.acquire(ctx, m.runs[2])
		if err == nil {
			release()
		}
		third <- err
	}()
	releaseB()
	releaseB() // a second time does nothing
	if err := <-third; err != nil || isOpen(b) || !isOpen(a) || m.isLoaded(m.runs[1]) || m.count() != 2 {
		t.Errorf("the third: %v; a is open: %v, b is open: %v", err, isOpen(a), isOpen(b))
	}
	again, release, err := m.acquire(ctx, m.runs[0])
	if err != nil || again != a {
		t.Errorf("a is loaded again: %v", err)
	}
	release()
	releaseA()
	if err := m.close(); err != nil || isOpen(a) {
		t.Errorf("close: %v", err)
	}
	if _, _, err := m.acquire(ctx, m.runs[0]); !errors.Is(err, errDraining) {
		t.Errorf("after close: %v", err)
	}
}

// TestLoadingFails checks that the error of loading a model reaches those who wait for it, and that the next request tries again.
func TestLoadingFails(t *testing.T) {
	broken, tries := errors.New("broken"), 0
	m := unopened("a", 1, func(r *served) (*calm.Model, error) {
		if tries++; tries == 1 {
			return nil, broken
		}
		return untrained(r)
	})
	if _, _, err := m.acquire(t.Context(), m.runs[0]); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	_, release, err := m.acquire(t.Context(), m.runs[0])
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := m.close(); err != nil {
		t.Error(err)
	}
}

// TestLoadedForNobody checks that a model whose only user went while it was being loaded makes room for another.
func TestLoadedForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		may := make(chan struct{})
		m := unopened("ab", 1, func(r *served) (*calm.Model, error) {
			if r.name == "a" {
				<-may
			}
			return untrained(r)
		})
		gone, leave := context.WithCancel(t.Context())
		all := sync.WaitGroup{}
		all.Go(func() {
			if _, _, err := m.acquire(gone, m.runs[0]); !errors.Is(err, context.Canceled) {
				t.Errorf("the user that left: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			_, release, err := m.acquire(ctx, m.runs[1])
			if err != nil {
				t.Errorf("the user that waits: %v", err)
				return
			}
			release()
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(may)
		all.Wait()
		if err := m.close(); err != nil {
			t.Error(err)
		}
	})
}

// TestModelsTogether has many users of more models than may be loaded. A model in use is never closed, no more than may be are
// loaded, and everybody gets a turn.
func TestModelsTogether(t *testing.T) {
	const most = 2
	m := unopened("abcde", most, untrained)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(i)))
			for range 15 {
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				if r.IntN(4) == 0 {
					ctx, stop = context.WithTimeout(t.Context(), time.Duration(r.IntN(2000))*time.Microsecond)
				}
				model, release, err := m.acquire(ctx, m.runs[r.IntN(5)])
				stop()
				switch {
				case errors.Is(err, context.DeadlineExceeded):
				case err != nil:
					t.Error(err)
				default:
					if n := m.count(); !isOpen(model) || n > most {
						t.Errorf("%d models are loaded, and one in use is open: %v", n, isOpen(model))
					}
					release()
				}
			}
		})
	}
	all.Wait()
	if err := m.close(); err != nil {
		t.Error(err)
	}
}
