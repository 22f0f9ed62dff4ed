package serve

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/calm-go/calm/internal/serve/page"
)

// routes says which path is answered by what.
func (s *Server) routes() {
	for path, answer := range map[string]func(context.Context, http.ResponseWriter, fields){
		"/v1/completions": s.completions, "/v1/chat/completions": s.chat, "/v1/embeddings": s.embeddings,
		"/tokenize": s.tokenize, "/detokenize": s.detokenize,
	} {
		s.mux.HandleFunc("POST "+path, s.decoded(answer))
		s.mux.HandleFunc(path, otherMethod(http.MethodPost))
	}
	for path, answer := range map[string]http.HandlerFunc{
		"/v1/models": s.listModels, "/v1/models/{model...}": s.oneModel, "/health": s.health, "/metrics": s.metrics.handler().ServeHTTP,
	} {
		s.mux.HandleFunc("GET "+path, answer)
		s.mux.HandleFunc(path, otherMethod(http.MethodGet))
	}
	browser := s.page()
	for _, path := range []string{"/{$}", "/static/", page.API} {
		s.mux.Handle(path, browser)
	}
	s.mux.HandleFunc("/", notFound)
}

// decoding is how many requests may be read and decoded at once, beyond those that are in the queue and those that are served.
const decoding = 16

// decoded answers requests whose body is a JSON object, within the time of a request.
func (s *Server) decoded(answer func(context.Context, http.ResponseWriter, fields)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.bounded(w, func() {
			f, err := readFields(w, r, s.options.MaxBody)
			if err != nil {
				s.problemOf(r.Context(), err).write(w)
				return
			}
			ctx, end := s.limited(r.Context())
			defer end()
			answer(ctx, w, f)
		})
	}
}

// bounded answers a request that has a body. Of too many at once, which would take too much memory, it refuses some before their
// bodies are read.
func (s *Server) bounded(w http.ResponseWriter, answer func()) {
	defer s.inside.Add(-1)
	if s.inside.Add(1) > int64(s.options.Streams+s.options.Queue+decoding) {
		s.gate.full().write(w)
		return
	}
	answer()
}

// limited returns a request's context with the time of a request, which ends too when the server waits no longer. The caller must
// call end.
func (s *Server) limited(ctx context.Context) (_ context.Context, end func()) {
	ctx, timeOver := context.WithTimeoutCause(ctx, s.options.Timeout, errTimeLimit)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.cut, func() { cancel(errCutOff) })
	return ctx, func() {
		stop()
		cancel(nil)
		timeOver()
	}
}

func otherMethod(want string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", want)
		(&problem{status: http.StatusMethodNotAllowed, kind: invalidRequest, code: "method_not_allowed",
			message: fmt.Sprintf("%s %s: want %s", short([]byte(r.Method)), r.URL.Path, want)}).write(w)
	}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	(&problem{status: http.StatusNotFound, kind: invalidRequest, code: "unknown_url",
		message: fmt.Sprintf("there is no %s here: docs/serving.md lists what there is", short([]byte(r.URL.Path)))}).write(w)
}

// ServeHTTP answers a request, if the server takes requests and the client may send them. It counts every one.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	out := &counted{ResponseWriter: w}
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			s.log("calm serve: %s panicked: %v\n%s", r.URL.Path, p, debug.Stack())
			if out.status == 0 {
				s.problemOf(r.Context(), fmt.Errorf("panic: %v", p)).write(out)
				p = nil
			}
		}
		s.metrics.request(s.endpoint(r), max(out.status, http.StatusOK), time.Since(arrived))
		if p != nil { // the client must not take what it has for the whole answer
			panic(http.ErrAbortHandler)
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	always := r.URL.Path == "/health" || r.URL.Path == "/metrics"
	if !s.begin(always) {
		h.Set("Connection", "close")
		errDraining.write(out)
		return
	}
	defer s.end()
	if s.access.allow(out, r) {
		s.mux.ServeHTTP(out, r)
	}
}

// endpoint returns the name of a request's endpoint in metrics. There are no others than those of routes, whatever clients ask for.
func (s *Server) endpoint(r *http.Request) string {
	_, pattern := s.mux.Handler(r)
	_, path, _ := strings.Cut(pattern, "/")
	if path == "" {
		return "other"
	}
	return "/" + strings.Replace(path, "{model...}", "MODEL", 1)
}

// counted remembers the status of an answer. A client that does not accept the answer cannot hold it for long.
type counted struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// sendPiece is how many bytes a client must accept within sendTime.
const sendPiece = 64 << 10

// Write sends data piece by piece.
func (c *counted) Write(data []byte) (n int, err error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	control := http.NewResponseController(c.ResponseWriter)
	for piece := range slices.Chunk(data, sendPiece) {
		_ = control.SetWriteDeadline(time.Now().Add(sendTime)) // tests' recorders have none
		sent, err := c.ResponseWriter.Write(piece)
		if n += sent; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
