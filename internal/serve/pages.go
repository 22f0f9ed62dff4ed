package serve

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/serve/page"
)

// page returns the page for browsers, with the runs beside the first one that is served. What its endpoints compute takes a slot,
// waits in the queue and has the time of a request, as other texts do.
func (s *Server) page() http.Handler {
	var models []page.Model
	for _, r := range s.models.runs {
		models = append(models, page.Model{Name: r.name, Dir: r.dir})
	}
	h := page.New(page.Options{
		Models:  func() []page.Model { return models },
		Acquire: s.acquireForPage,
		Runs:    filepath.Dir(filepath.Clean(models[0].Dir)),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			h.ServeHTTP(w, r)
			return
		}
		s.bounded(w, func() {
			ctx, end := s.limited(r.Context())
			defer end()
			h.ServeHTTP(w, r.WithContext(ctx))
		})
	})
}

// acquireForPage returns the model of a name, and takes a slot. The model comes first, as for other texts: a request that held a
// slot while it waited for a model could wait for one that waits for a slot. The caller must call release. Errors are a *problem.
func (s *Server) acquireForPage(ctx context.Context, name string) (_ *calm.Model, release func(), err error) {
	defer func() {
		if err != nil {
			err = s.problemOf(ctx, err)
		}
	}()
	r, err := s.models.named(name)
	if err != nil {
		return nil, nil, err
	}
	place, err := s.gate.enter()
	if err != nil {
		return nil, nil, err
	}
	defer place.leave()
	m, drop, err := s.models.acquire(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if err := place.take(ctx); err != nil {
		drop()
		return nil, nil, err
	}
	return m, sync.OnceFunc(func() {
		place.free()
		drop()
	}), nil
}
