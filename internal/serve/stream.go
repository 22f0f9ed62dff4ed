package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// sendTime is the longest time that a client may take to accept what is sent to it.
const sendTime = 30 * time.Second

// events is a stream of server-sent events, each a line "data: JSON" and an empty line. Several goroutines may send.
type events struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	begun bool
	err   error // the first of sending: nothing is sent after it
}

// send sends a value. Its error is for good: the client has gone.
func (e *events) send(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	return e.line(data)
}

// done sends what ends a stream.
func (e *events) done() error { return e.line([]byte("[DONE]")) }

func (e *events) line(data []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	if !e.begun {
		e.begun = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // nginx passes events on as they come
		e.w.WriteHeader(http.StatusOK)
	}
	line := append(append([]byte("data: "), data...), "\n\n"...)
	if _, e.err = e.w.Write(line); e.err == nil {
		e.err = http.NewResponseController(e.w).Flush()
	}
	return e.err
}

// fail ends a stream with an error: as an event where the stream has begun, else as an answer.
func (e *events) fail(p *problem) {
	e.mu.Lock()
	begun := e.begun
	e.mu.Unlock()
	if !begun {
		p.write(e.w)
		return
	}
	_ = e.send(p.body()) // there is nobody left to tell
}

// encode returns the JSON of a value. Bytes that are not UTF-8 become U+FFFD.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := encode(v)
	if err != nil { // a value that has no JSON is a mistake of this package
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client may have gone
}
