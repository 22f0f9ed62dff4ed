// Package serve answers requests over HTTP with runs: OpenAI's API for texts, chats and embeddings, and what goes with a server
// (models, health, metrics). docs/serving.md describes it for users.
//
// A request is decoded (fields.go, order.go), waits in the queue (gate.go), gets its model, which may have to be loaded
// (models.go), and has its texts written, each in a goroutine of its own with a slot (write.go). The answer is a JSON object or a
// stream of events (answer.go, stream.go). A request whose client has gone ends before its next patch.
package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calm-go/calm"
)

// Options say what is served, to whom, and how much of it.
type Options struct {
	Runs      []string // directories
	Threads   int      // of each model; 0: one for each processor
	Set       []string // assignments, as calm.Set takes them
	MaxLoaded int      // models in memory at once

	Streams   int           // texts that are written at once
	Queue     int           // requests that wait
	MaxTokens int           // of all texts of a request
	MaxBody   int64         // bytes of a request
	Timeout   time.Duration // of a request, its time in the queue included

	Keys              []string // API keys; none: everybody may use the server
	Origins           []string // of pages in browsers that may use the server; "*": all
	Local             bool     // the server listens on this machine only: without a key it answers to the names of this machine only
	IgnoreUnsupported bool     // ignore fields that a likelihood-free model cannot have, such as top_p

	// What a request leaves out.
	Temperature float64 // 0 to 1
	Sampler     calm.Sampler
	Draws       int

	Log io.Writer // the server's own errors
}

// Server answers requests. The caller must call Close, which Serve does.
type Server struct {
	options Options
	models  *models
	gate    *gate
	metrics *metrics
	access  *access
	mux     *http.ServeMux

	cut    context.Context // ends when requests are not waited for any longer
	cutOff context.CancelCauseFunc

	inside atomic.Int64 // requests with a body, from before it is read to their end

	mu       sync.Mutex
	running  int // requests
	draining bool
	idle     chan struct{} // closed when draining, and no request is running

	logging sync.Mutex
}

// New describes the runs and loads as many as may be loaded at once. Mistakes in runs and options are a *run.UsageError or a
// *config.Error.
func New(o Options) (*Server, error) {
	s := &Server{options: o, gate: newGate(o.Streams, o.Queue), mux: http.NewServeMux(), idle: make(chan struct{})}
	s.cut, s.cutOff = context.WithCancelCause(context.Background())
	var err error
	if s.access, err = newAccess(o.Keys, o.Origins, o.Local); err != nil {
		return nil, err
	}
	runs, err := describe(o.Runs)
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		r.fingerprint.Store(fingerprintOf(r.dir, o.Set))
	}
	s.models = newModels(runs, o.MaxLoaded, func(r *served) (*calm.Model, error) {
		r.fingerprint.Store(fingerprintOf(r.dir, o.Set)) // training may have gone on
		return calm.Open(r.dir, calm.Threads(o.Threads), calm.Set(o.Set...))
	})
	s.metrics = newMetrics(s)
	for _, r := range runs[:min(len(runs), o.MaxLoaded)] {
		_, release, err := s.models.acquire(s.cut, r)
		if err != nil {
			_ = s.models.close() // the first error counts
			return nil, err
		}
		release()
	}
	s.routes()
	return s, nil
}

// Close closes all models.
func (s *Server) Close() error {
	s.cutOff(errCutOff)
	return s.models.close()
}

// Models lists the names of the models, in the order of Options.Runs.
func (s *Server) Models() []string {
	var names []string
	for _, r := range s.models.runs {
		names = append(names, r.name)
	}
	return names
}

func (s *Server) log(format string, args ...any) {
	if s.options.Log == nil {
		return
	}
	s.logging.Lock()
	defer s.logging.Unlock()
	fmt.Fprintf(s.options.Log, format+"\n", args...)
}
