package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/serve"
)

// TestPage: the page and its files need no key, its endpoints do.
func TestPage(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.Keys = []string{"secret"} })
	for path, kind := range map[string]string{"/": "text/html", "/static/page.js": "text/javascript", "/static/page.css": "text/css"} {
		got := s.do("GET", path, "")
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d, %v", path, got.status, got.header)
		}
	}
	if got := s.do("GET", "/api/models", ""); got.status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", got.status)
	}
	key := []string{"Authorization", "Bearer secret"}
	if got := s.do("GET", "/api/models", "", key...); got.status != http.StatusOK || !strings.Contains(got.body, `"name":"lm"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.do("GET", "/api/runs", "", key...); got.status != http.StatusOK || !strings.Contains(got.body, `"lm"`) {
		t.Errorf("the runs beside the one that is served: %d %s", got.status, got.body)
	}
	if got := s.do("GET", "/nothing", "", key...); got.status != http.StatusNotFound || !strings.Contains(got.body, "unknown_url") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestPageWrites: the page gets the text that the API gives. It takes a slot, and is refused where the queue is full.
func TestPageWrites(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.Streams, o.Queue = 1, 0 })
	const body = `{"model":"lm","prompt":"ab","max_tokens":12,"seed":3%s}`
	want := ok[texts](s, "/v1/completions", fmt.Sprintf(body, "")).Choices[0].Text
	written := func() (status int, text string) {
		got := s.do("POST", "/api/write", fmt.Sprintf(body, `,"temperature":1`), "Content-Type", "application/json")
		for line := range strings.Lines(got.body) {
			var l struct{ Patch struct{ Text string } }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%s: %v", got.body, err)
			}
			text += l.Patch.Text
		}
		return got.status, text
	}
	if status, text := written(); status != http.StatusOK || text != want {
		t.Errorf("%d, %q, want %q", status, text, want)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	stream, err := s.open(ctx, fmt.Sprintf(endless, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if status, _ := written(); status != http.StatusTooManyRequests {
		t.Errorf("with another text in the only slot: %d", status)
	}
	leave()
	eventually(t, "the slot is free", func() bool { return s.gauge("calm_streams") == 0 })
	if status, text := written(); status != http.StatusOK || text != want {
		t.Errorf("afterwards: %d, %q", status, text)
	}
}

// TestPageWaitsForModelFirst: a request of the page that waits for a model holds no slot, which a user of the loaded model may need.
func TestPageWaitsForModelFirst(t *testing.T) {
	r, err := tinyRuns()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *serve.Options) { o.Runs, o.MaxLoaded, o.Streams = []string{r.LM, r.AR}, 1, 1 })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	stream, err := s.open(ctx, fmt.Sprintf(endless, 1)) // holds the model lm and the slot
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		got := s.do("POST", "/api/write", `{"model":"ar","prompt":"ab","max_tokens":3}`, "Content-Type", "application/json")
		if got.status != http.StatusOK || !strings.Contains(got.body, `"end"`) {
			t.Errorf("the page: %d %s", got.status, got.body)
		}
	})
	eventually(t, "the page waits", func() bool { return s.gauge("calm_queue_requests") == 1 })
	all.Go(func() {
		if got := s.post("/v1/completions", `{"model":"lm","max_tokens":4}`); got.status != http.StatusOK {
			t.Errorf("the API: %d %s", got.status, got.body)
		}
	})
	eventually(t, "both wait", func() bool { return s.gauge("calm_queue_requests") == 2 })
	leave()
}

// TestPageSlowBody: a request of the page whose body is not sent holds no slot.
func TestPageSlowBody(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.Streams = 1 })
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /api/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if streams := s.gauge("calm_streams"); streams != 0 {
		t.Errorf("%d slots are held", streams)
	}
	if got := s.post("/v1/completions", `{"max_tokens":4}`); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}
