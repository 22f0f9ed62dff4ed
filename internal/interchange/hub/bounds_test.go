package hub

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestEndless: whatever a hub sends, the number of requests is bounded, and so is the time.
func TestEndless(t *testing.T) {
	forever := func(piece string, pause time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, piece); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(pause)
			}
		}
	}
	longer := func(data string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			data := data + "x"
			var have int
			if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &have); n == 1 && have <= len(data) {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", have, len(data)-1, len(data)))
				data = data[have:]
				w.WriteHeader(http.StatusPartialContent)
			}
			io.WriteString(w, data)
		}
	}
	oneByte := func(w http.ResponseWriter, r *http.Request) { // a connection
		w.Header().Set("Content-Length", "200000")
		have := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &have)
		if have > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-199999/200000", have))
			w.WriteHeader(http.StatusPartialContent)
		}
		io.WriteString(w, "0")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	var turn atomic.Int32
	fromTheBeginning := func(w http.ResponseWriter, r *http.Request) { // again and again, now more and now less
		io.WriteString(w, strings.Repeat("0", 1000*int(1+turn.Add(1)%5)))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		answer func(data string) http.HandlerFunc
		want   string
		most   int
		paths  []string
	}{
		"longer":        {longer, "the hub sends more than", 1, []string{small, large}},
		"endless":       {func(string) http.HandlerFunc { return forever(strings.Repeat("0", 1<<16), 0) }, "the hub sends more than", 1, []string{small, large}},
		"endless list":  {func(string) http.HandlerFunc { return forever(strings.Repeat(" ", 1<<16), 0) }, "list of files", 1, []string{list}},
		"dripping":      {func(string) http.HandlerFunc { return forever("0", 5*time.Millisecond) }, "the hub sends less than 1024 bytes a second", patience, []string{large}},
		"dripping list": {func(string) http.HandlerFunc { return forever(" ", 5*time.Millisecond) }, "the hub sends less than 1024 bytes a second", 1, []string{list}},
		"one byte each": {func(string) http.HandlerFunc { return oneByte }, "the connection fails", patience, []string{large}},
		"from the beginning": {func(string) http.HandlerFunc { return fromTheBeginning }, "the connection fails", connections(300000),
			[]string{large}},
	} {
		for _, path := range c.paths {
			t.Run(name+" "+filepath.Base(path), func(t *testing.T) {
				t.Setenv("HF_ENDPOINT", "") // newServer sets it
				s := newServer(t)
				var requests atomic.Int32
				answer := c.answer(string(s.files[filepath.Base(path)]))
				s.instead = asked(path, func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					answer(w, r)
				})
				start := time.Now()
				_, err := hasty(t.Context(), t, func(string) {})
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Download it by hand") {
					t.Errorf("%v; want %q in it", err, c.want)
				}
				if n := int(requests.Load()); n > c.most || n == 0 || time.Since(start) > time.Minute {
					t.Errorf("%d requests in %v; want at most %d", n, time.Since(start), c.most)
				}
			})
		}
	}
}

// TestSlowButSure: a hub that cuts every connection is good enough if each brings enough, and so is one that says no length.
func TestSlowButSure(t *testing.T) {
	s := newServer(t)
	s.instead = asked(large, func(w http.ResponseWriter, r *http.Request) {
		data, have := s.files[large], 0
		if fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &have); have > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", have, len(data)-1, len(data)))
			w.WriteHeader(http.StatusPartialContent)
		}
		data = data[have:]
		w.Write(data[:min(len(data), 20000)])
		w.(http.Flusher).Flush()
		if len(data) > 20000 {
			panic(http.ErrAbortHandler)
		}
	})
	if _, err := hasty(t.Context(), t, func(string) {}); err != nil {
		t.Error(err)
	}
}

// TestManyFiles: a hub cannot make calm download any number of files.
func TestManyFiles(t *testing.T) {
	s := newServer(t)
	delete(s.files, large)
	s.files["model.safetensors.index.json"] = []byte("{}")
	for i := range maxFiles {
		s.files[fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, maxFiles)] = []byte("x")
	}
	if _, err := hasty(t.Context(), t, func(string) {}); err == nil || !strings.Contains(err.Error(), "files of weights") {
		t.Error(err)
	}
}

// transport answers requests without a network.
type transport func(*http.Request) *http.Response

// RoundTrip answers a request.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// TestToken: after a redirect, the token goes only to the scheme, host and port for which it was set.
func TestToken(t *testing.T) {
	const hub = "https://hub.example/file"
	for to, want := range map[string]bool{
		"https://hub.example/other": true, "https://hub.example:443/other": true, "/other": true,
		"http://hub.example/other": false, "http://hub.example:443/other": false, "https://hub.example:8443/other": false,
		"https://cdn.hub.example/other": false, "https://example/other": false, "https://evil.example/other": false,
		"//evil.example/other": false, "https://hub.example.evil.example/other": false, "https://hub.example@evil.example/other": false,
	} {
		for _, through := range []string{"", "https://evil.example/on-the-way"} {
			next := map[string]string{hub: to}
			if through != "" {
				next[hub], next[through] = through, to
				if strings.HasPrefix(to, "/") {
					continue // relative to the other host
				}
			}
			sent, reached := map[string]string{}, ""
			w := web{token: "secret", silence: time.Minute, transport: transport(func(r *http.Request) *http.Response {
				reached = r.URL.String()
				sent[reached] = r.Header.Get("Authorization")
				resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("data")), Request: r, Header: http.Header{}}
				if to := next[reached]; to != "" {
					resp.StatusCode = http.StatusFound
					resp.Header.Set("Location", to)
				}
				return resp
			})}
			a, err := w.get(t.Context(), hub, 0)
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
			if sent[hub] != "Bearer secret" || !strings.HasSuffix(reached, "/other") {
				t.Errorf("%s: sent %v", to, sent)
			}
			if got := strings.Contains(sent[reached], "secret"); got && !want || !got && want && through == "" {
				t.Errorf("redirected to %s: the token is sent: %v, want %v", to, got, want)
			}
			if through != "" && sent[through] != "" {
				t.Errorf("the token went to %s", through)
			}
		}
	}
}
