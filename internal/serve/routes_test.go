package serve

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines is a connection that records when its deadline is set, and what is written.
type deadlines struct {
	httptest.ResponseRecorder
	set   int   // since the last write
	sizes []int // of what was written
	fail  error // of the next write
}

// SetWriteDeadline implements what http.ResponseController asks for.
func (d *deadlines) SetWriteDeadline(at time.Time) error {
	if left := time.Until(at); left > 0 && left <= sendTime {
		d.set++
	}
	return nil
}

// Write counts.
func (d *deadlines) Write(data []byte) (int, error) {
	if d.set != 1 || d.fail != nil {
		return 0, errors.Join(d.fail, errors.New("no deadline"))
	}
	d.set, d.sizes = 0, append(d.sizes, len(data))
	return d.ResponseRecorder.Write(data)
}

// TestSlowReaders checks that a client has so long for each piece of an answer, and that nothing is sent after a failure.
func TestSlowReaders(t *testing.T) {
	d := &deadlines{ResponseRecorder: *httptest.NewRecorder()}
	out := &counted{ResponseWriter: d}
	data := bytes.Repeat([]byte("calm"), sendPiece/2)
	if n, err := out.Write(data[:len(data)-3]); n != len(data)-3 || err != nil || len(d.sizes) != 2 || d.sizes[0] != sendPiece {
		t.Errorf("%d bytes in pieces of %v: %v", n, d.sizes, err)
	}
	if !bytes.Equal(d.Body.Bytes(), data[:len(data)-3]) || out.status != http.StatusOK {
		t.Errorf("%d bytes arrived, status %d", d.Body.Len(), out.status)
	}
	d.fail = io.ErrClosedPipe
	if n, err := out.Write(data); n != 0 || !errors.Is(err, io.ErrClosedPipe) || len(d.sizes) != 2 {
		t.Errorf("after a failure: %d bytes, %v", n, err)
	}
}

// TestPanics checks that a panic is logged and becomes an error, or cuts the connection where an answer has begun.
func TestPanics(t *testing.T) {
	var log bytes.Buffer
	s := &Server{gate: newGate(1, 0), mux: http.NewServeMux(), idle: make(chan struct{}), models: newModels(nil, 0, nil)}
	s.options.Log, s.metrics = &log, newMetrics(s)
	var err error
	if s.access, err = newAccess(nil, nil, false); err != nil {
		t.Fatal(err)
	}
	s.mux.HandleFunc("/early", func(http.ResponseWriter, *http.Request) { panic("broken") })
	s.mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("broken")
	})
	h := httptest.NewServer(s)
	defer h.Close()
	get := func(path string) (int, string, error) {
		r, err := http.Post(h.URL+path, "application/json", nil) // a GET would be tried again
		if err != nil {
			return 0, "", err
		}
		defer r.Body.Close()
		data, err := io.ReadAll(r.Body)
		return r.StatusCode, string(data), err
	}
	if status, body, err := get("/early"); status != http.StatusInternalServerError || !strings.Contains(body, "server_error") || err != nil {
		t.Errorf("before the answer: %d, %s, %v", status, body, err)
	}
	if status, body, err := get("/late"); err == nil {
		t.Errorf("within the answer: %d, %s", status, body)
	}
	h.Close()
	if n := strings.Count(log.String(), "panicked: broken"); n != 2 || s.running != 0 {
		t.Errorf("%d panics are logged, %d requests run: %s", n, s.running, log.String())
	}
}
