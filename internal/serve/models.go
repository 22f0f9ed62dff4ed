package serve

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/calm-go/calm"
)

// models holds the runs that are served, and loads them when they are needed. So many are loaded at once as may be: to load
// another, it closes the one of those that nobody uses that was used least recently.
type models struct {
	runs []*served
	open func(*served) (*calm.Model, error)
	max  int // loaded at once

	mu      sync.Mutex
	loaded  []*loaded     // in the order of their last use, the latest last
	changed chan struct{} // closed, and made anew, where a model has become idle or was loaded for nobody, or could not be loaded
	closed  bool
}

// loaded is a model in memory.
type loaded struct {
	of    *served
	users int
	ready chan struct{} // closed when model or err is set
	model *calm.Model
	err   error
}

func newModels(runs []*served, max int, open func(*served) (*calm.Model, error)) *models {
	return &models{runs: runs, open: open, max: max, changed: make(chan struct{})}
}

// named returns the run of a name. "" names the run where there is only one.
func (m *models) named(name string) (*served, error) {
	var names []string
	for _, r := range m.runs {
		if r.name == name || name == "" && len(m.runs) == 1 {
			return r, nil
		}
		names = append(names, r.name)
	}
	have := strings.Join(names, ", ")
	if name == "" {
		return nil, badField("model", "the request names no model: there are %s", have)
	}
	p := badField("model", "there is no model %q: there are %s", name, have)
	p.status, p.code = http.StatusNotFound, "model_not_found"
	return nil, p
}

// acquire returns the model of a run, which it loads if it must. It waits where as many models are in use as may be loaded. The
// caller must call release.
func (m *models) acquire(ctx context.Context, r *served) (model *calm.Model, release func(), err error) {
	for {
		l, wait, err := m.use(r)
		if err != nil {
			return nil, nil, err
		}
		if l == nil {
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			}
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
			m.release(l)
			return nil, nil, ctx.Err()
		}
		if l.err != nil {
			m.release(l)
			return nil, nil, l.err
		}
		return l.model, sync.OnceFunc(func() { m.release(l) }), nil
	}
}

// use returns the loaded model of a run, with one user more. Where there is no room for it, it returns a channel that is closed
// when there may be.
func (m *models) use(r *served) (*loaded, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, nil, errDraining
	}
	if i := slices.IndexFunc(m.loaded, func(l *loaded) bool { return l.of == r }); i >= 0 {
		l := m.loaded[i]
		l.users++
		m.forget(l)
		m.loaded = append(m.loaded, l)
		return l, nil, nil
	}
	if len(m.loaded) >= m.max {
		idle := m.idle()
		if idle == nil {
			return nil, m.changed, nil
		}
		m.forget(idle)
		if err := idle.model.Close(); err != nil {
			return nil, nil, err
		}
	}
	l := &loaded{of: r, users: 1, ready: make(chan struct{})}
	m.loaded = append(m.loaded, l)
	go m.load(l)
	return l, nil, nil
}

// load opens the model of l. It goes on where its user has gone: another may come.
func (m *models) load(l *loaded) {
	model, err := m.open(l.of)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed && err == nil {
		err = errors.Join(errDraining, model.Close())
	}
	l.model, l.err = model, err
	if err != nil { // the next request tries again
		m.forget(l)
	}
	if err != nil || l.users == 0 {
		m.announce()
	}
	close(l.ready)
}

// idle returns the loaded model that was used least recently of those that nobody uses, or nil.
func (m *models) idle() *loaded {
	for _, l := range m.loaded {
		if l.users == 0 && l.model != nil {
			return l
		}
	}
	return nil
}

func (m *models) forget(l *loaded) {
	m.loaded = slices.DeleteFunc(m.loaded, func(other *loaded) bool { return other == l })
}

// announce wakes those who wait for room.
func (m *models) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *models) release(l *loaded) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.users--; l.users == 0 {
		m.announce()
	}
}

// isLoaded reports whether a run's model is in memory.
func (m *models) isLoaded(r *served) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.loaded {
		if l.of == r && l.model != nil {
			return true
		}
	}
	return false
}

// count returns the number of loaded models.
func (m *models) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.loaded)
}

// close closes all models; those who use one get calm.ErrClosed.
func (m *models) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	var errs []error
	for _, l := range m.loaded {
		if l.model != nil {
			errs = append(errs, l.model.Close())
		}
	}
	m.loaded = nil
	m.announce()
	return errors.Join(errs...)
}
