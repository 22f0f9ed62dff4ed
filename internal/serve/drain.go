package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/calm-go/calm/internal/plural"
)

// Limits of connections.
const (
	headerTime = 10 * time.Second // to send the header of a request
	idleTime   = 2 * time.Minute  // between two requests
	maxHeader  = 64 << 10         // bytes
	endTime    = 5 * time.Second  // for answers after requests were cut off
)

// Serve answers requests that come through a listener, until the context ends. Then new requests are refused, and those that are
// running may finish within drain; those that do not are cut off, which is an error. It closes the listener and the server.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(logger{s}, "", 0)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = s.drain(drain)
	}
	end, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if late := server.Shutdown(end); late != nil {
		err = errors.Join(err, server.Close())
	}
	return errors.Join(err, s.Close())
}

// logger passes what net/http logs to the server's log.
type logger struct{ s *Server }

// Write logs a line.
func (l logger) Write(line []byte) (int, error) {
	l.s.log("calm serve: %s", line[:max(0, len(line)-1)])
	return len(line), nil
}

// begin counts a request that is running. It reports false if the server takes none.
func (s *Server) begin(always bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !always {
		return false
	}
	s.running++
	return true
}

func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.wake()
}

// wake tells drain that no request is running. The caller holds the lock.
func (s *Server) wake() {
	if !s.draining || s.running > 0 {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// drain refuses new requests and waits for those that are running. After a time it cuts them off, which is an error.
func (s *Server) drain(wait time.Duration) error {
	s.mu.Lock()
	s.draining = true
	running := s.running
	s.wake()
	s.mu.Unlock()
	if running > 0 {
		s.log("calm serve: %s running: new ones are refused, and these may finish within %v; a second signal ends at once", plural.Count(running, "request"), wait)
	}
	select {
	case <-s.idle:
		return nil
	case <-time.After(wait):
	}
	s.mu.Lock()
	running = s.running
	s.mu.Unlock()
	s.cutOff(errCutOff)
	select {
	case <-s.idle:
	case <-time.After(endTime):
	}
	return fmt.Errorf("%s cut off after --drain %v", plural.Count(running, "request"), wait)
}
