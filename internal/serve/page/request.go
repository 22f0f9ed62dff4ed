package page

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/calm-go/calm"
)

const (
	maxBody  = 64 << 10         // bytes of a request's body at most
	bodyTime = 30 * time.Second // to read it at most
)

// problem is an error with the HTTP status that it is sent with.
type problem struct {
	status  int
	message string // one sentence
}

// Error returns the sentence.
func (p *problem) Error() string { return p.message }

func refuse(status int, format string, args ...any) error {
	return &problem{status, fmt.Sprintf(format, args...)}
}

// endpoint is a handler that returns an error instead of sending it. It may do so only before it sends anything.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP sends the error, if there is one, as {"error": "a sentence"}.
func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := e(w, r)
	if err == nil {
		return
	}
	data, failed := json.Marshal(map[string]string{"error": err.Error()})
	if failed != nil { // the sentence has bytes that are not UTF-8
		data = []byte(`{"error":"the request cannot be answered"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(err))
	w.Write(data) // a client that has gone does not read it
}

// status returns the HTTP status of an error.
func status(err error) int {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.status
	}
	_, input := errors.AsType[*calm.InputError](err)
	switch {
	case input, errors.Is(err, calm.ErrKind), errors.Is(err, calm.ErrNoTokenizer):
		return http.StatusBadRequest
	case errors.Is(err, calm.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// decode reads the body of a request strictly: one object of JSON with known keys alone, each once.
func decode[T any](w http.ResponseWriter, r *http.Request) (v T, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return v, refuse(http.StatusUnsupportedMediaType, "the request's Content-Type is %q: want application/json", r.Header.Get("Content-Type"))
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // tests' recorders have none
	err = json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), &v, json.RejectUnknownMembers(true))
	_ = control.SetReadDeadline(time.Time{})
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return v, refuse(http.StatusRequestEntityTooLarge, "the request is longer than %d bytes", maxBody)
	}
	if err != nil {
		return v, refuse(http.StatusBadRequest, "the request cannot be read: %v", err)
	}
	return v, nil
}

// send sends v as JSON, or says that the browser has it already.
func send(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return err
	}
	sendTagged(w, r, "application/json", `"`+strconv.FormatUint(uint64(crc32.Checksum(data, castagnoli)), 16)+`"`, data)
	return nil
}

func sendTagged(w http.ResponseWriter, r *http.Request, kind, tag string, data []byte) {
	header := w.Header()
	header.Set("Content-Type", kind)
	if r.Method == http.MethodGet {
		header.Set("Cache-Control", "no-cache") // ask whether it has changed
		header.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(data)))
	w.Write(data) // a client that has gone does not read it
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// acquire returns the model of that name; of no name, the first. The caller must call release.
func (p page) acquire(ctx context.Context, name string) (m *calm.Model, release func(), err error) {
	for _, served := range p.Models() {
		if served.Name != name && name != "" {
			continue
		}
		m, release, err := p.Acquire(ctx, served.Name)
		if known, ok := errors.AsType[interface {
			error
			Status() int
		}](err); ok {
			return nil, nil, refuse(known.Status(), "%v", err)
		} else if err != nil {
			return nil, nil, refuse(http.StatusServiceUnavailable, "the model %s cannot be used now: %v", served.Name, err)
		}
		return m, release, nil
	}
	if name == "" {
		return nil, nil, refuse(http.StatusNotFound, "no model is served")
	}
	return nil, nil, refuse(http.StatusNotFound, "no model %q is served", name)
}
