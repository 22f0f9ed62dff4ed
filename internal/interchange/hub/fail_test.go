package hub

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Parts of the paths of a download's three requests.
const list, small, large = "/revision/main", "config.json", "model.safetensors"

// hasty fetches the server's model with short timeouts.
func hasty(ctx context.Context, t *testing.T, log func(string)) (string, error) {
	t.Helper()
	m, err := parse("org/name")
	if err != nil {
		t.Fatal(err)
	}
	m.web.silence, m.web.pause, m.log = 300*time.Millisecond, time.Millisecond, log
	return m.fetch(ctx)
}

// asked answers the requests whose paths end in path.
func asked(path string, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		is := strings.HasSuffix(r.URL.Path, path)
		if is {
			answer(w, r)
		}
		return is
	}
}

// TestRefused: for all answers of the hub and all failures of the network, the error says what happened and how to download the
// files by hand. It mentions a token where one may help.
func TestRefused(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	stall := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "18") // as config.json
		io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	cut := func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
	again := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", code) }
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
		most   int32 // requests for one file
	}{
		"401":         {status(401), "HF_TOKEN", 1},
		"403":         {status(403), "HF_TOKEN", 1},
		"404":         {status(404), "404 Not Found", 1},
		"500":         {status(500), "500 Internal Server Error", patience},
		"cut":         {cut, "EOF", 2 * patience}, // net/http repeats the request
		"silent":      {hang, "does not answer any more", patience},
		"stalled":     {stall, "does not answer any more", patience},
		"redirecting": {again, "stopped after 10 redirects", 10 * patience},
	} {
		for _, path := range []string{list, small, large} {
			t.Run(name+" "+filepath.Base(path), func(t *testing.T) {
				s := newServer(t)
				var requests atomic.Int32
				s.instead = asked(path, func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					c.answer(w, r)
				})
				_, err := hasty(t.Context(), t, func(string) {})
				for _, want := range []string{c.want, "Download it by hand"} {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%v; want %q in it", err, want)
					}
				}
				if err != nil && strings.Contains(err.Error(), "HF_TOKEN") != (c.want == "HF_TOKEN") {
					t.Errorf("%v; a token is asked for", err)
				}
				if n := requests.Load(); n > c.most {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

// TestNothingStays: for a model that does not exist, no directory is made in the cache.
func TestNothingStays(t *testing.T) {
	newServer(t)
	if _, err := Fetch(t.Context(), "runs/lm", func(string) {}); err == nil {
		t.Error("there is such a model")
	}
	if entries, _ := os.ReadDir(os.Getenv("HF_HOME")); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

// TestTakenFromCache: if the hub does not list the files, an earlier download is used, and the log says why.
func TestTakenFromCache(t *testing.T) {
	s := newServer(t)
	want := fetch(t, s)
	s.instead = asked(list, http.NotFound)
	said := ""
	dir, err := hasty(t.Context(), t, func(line string) { said += line })
	if err != nil || dir != want || !strings.Contains(said, "the hub answers 404 Not Found: taking what was downloaded before") {
		t.Errorf("%s, %v, said %q", dir, err, said)
	}
}

// TestInterrupted: the error is the context's, without advice to download by hand.
func TestInterrupted(t *testing.T) {
	for _, path := range []string{list, small, large} {
		s := newServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.instead = asked(path, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, err := hasty(ctx, t, func(string) {})
		if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "by hand") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestTwoAtOnce: of two concurrent fetches of a model one downloads. The other waits, and logs that.
func TestTwoAtOnce(t *testing.T) {
	s := newServer(t)
	begun, waits := make(chan struct{}), make(chan struct{})
	s.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, large) {
			close(begun)
			<-waits
		}
		return false
	}
	first := make(chan error)
	go func() {
		_, err := Fetch(t.Context(), "org/name", func(string) {})
		first <- err
	}()
	<-begun
	_, err := hasty(t.Context(), t, func(line string) {
		if strings.Contains(line, "waiting for another download of model.safetensors") {
			close(waits)
		}
	})
	if first := <-first; err != nil || first != nil {
		t.Errorf("the first: %v, the second: %v", first, err)
	}
	if len(s.ranges) != 1 {
		t.Errorf("asked for %q", s.ranges)
	}
}
