package serve

import (
	"net/http"
	"path/filepath"

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
		Acquire: s.Acquire,
		Runs:    filepath.Dir(filepath.Clean(models[0].Dir)),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			h.ServeHTTP(w, r)
			return
		}
		place, err := s.gate.enter()
		if err != nil {
			s.problemOf(r.Context(), err).write(w)
			return
		}
		defer place.leave()
		ctx, end := s.limited(r.Context())
		defer end()
		if err := place.take(ctx); err != nil {
			s.problemOf(ctx, err).write(w)
			return
		}
		defer place.free()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}
