package page_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/serve/page"
)

// TestFiles: the page and everything that it names is there, with the right type; the second request finds it unchanged.
func TestFiles(t *testing.T) {
	h, _ := handler(t)
	names := regexp.MustCompile(`(?:src|href)="([^"#]+)"|from "\./([^"]+)"`)
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if want := kinds[filepath.Ext(path)]; w.Code != http.StatusOK || path != "/" && w.Header().Get("Content-Type") != want {
			t.Errorf("%s: status %d, %s, want %s", path, w.Code, w.Header().Get("Content-Type"), want)
		}
		again := httptest.NewRequest(http.MethodGet, path, nil)
		again.Header.Set("If-None-Match", w.Header().Get("ETag"))
		unchanged := httptest.NewRecorder()
		if h.ServeHTTP(unchanged, again); unchanged.Code != http.StatusNotModified || unchanged.Body.Len() > 0 {
			t.Errorf("%s again: status %d", path, unchanged.Code)
		}
		if strings.Contains(path, "uplot") {
			return
		}
		text := w.Body.String()
		if regexp.MustCompile(`https?://`).MatchString(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")) {
			t.Errorf("%s names another host", path)
		}
		if strings.Contains(text, " style=") || strings.Contains(text, "innerHTML") {
			t.Errorf("%s has styles or HTML in strings, which the policy refuses", path)
		}
		for _, m := range names.FindAllStringSubmatch(text, -1) {
			if m[1] != "" {
				visit("/" + m[1])
			} else {
				visit("/static/" + m[2])
			}
		}
	}
	visit("/")
	if len(seen) < 14 {
		t.Errorf("only %d files are named: %v", len(seen), seen)
	}
	for _, path := range []string{"/index.html", "/static/", "/static/none.js", "/static/../page.go"} {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)); w.Code == http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if status, text := ask(t, h, "/static/uplot/LICENSE", nil); status != http.StatusOK || !strings.Contains(text, "MIT") {
		t.Errorf("the licence of uPlot: status %d", status)
	}
}

// TestHeaders: every answer keeps the page to itself, and the policy allows neither code nor style in the HTML.
func TestHeaders(t *testing.T) {
	h, _ := handler(t)
	for _, path := range []string{"/", "/static/page.js", "/api/models", "/api/none", "/none"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: headers %v", path, w.Header())
		}
	}
}

// TestOtherSites: what another site's page sends to the endpoints is refused, with and without the headers of new browsers.
func TestOtherSites(t *testing.T) {
	h, _ := handler(t)
	send := func(header map[string]string) int {
		r := httptest.NewRequest(http.MethodPost, "/api/pack", strings.NewReader(`{"text":"x"}`))
		for key, v := range header {
			r.Header.Set(key, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	const js = "application/json"
	for _, c := range []struct {
		header map[string]string
		want   int
	}{
		{map[string]string{"Content-Type": js, "Sec-Fetch-Site": "same-origin"}, http.StatusOK},
		{map[string]string{"Content-Type": js, "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{map[string]string{"Content-Type": js, "Origin": "http://example.org"}, http.StatusForbidden},
		{map[string]string{"Content-Type": "text/plain"}, http.StatusUnsupportedMediaType},
		{nil, http.StatusUnsupportedMediaType},
	} {
		if got := send(c.header); got != c.want {
			t.Errorf("%v: status %d, want %d", c.header, got, c.want)
		}
	}
}

func TestModels(t *testing.T) {
	dir := runsDir(t)
	l := newLibrary(t, dir, "lm", "ae", "more/ar", "none")
	h := page.New(page.Options{Models: l.list, Acquire: l.acquire})
	type model struct {
		Name, Kind, Head, Error string
		Patch_Size, Latent_Size int
		Context                 int
		Writes, Draws, Packs    bool
	}
	got := answer[struct {
		Models []model
		Limits map[string]int
	}](t, h, "/api/models", nil)
	want := []model{
		{"lm", "lm", "energy", "", 4, 12, 32, true, true, true},
		{"ae", "ae", "", "", 4, 12, 32, false, false, true},
		{"more/ar", "ar", "", "", 1, 0, 32, true, false, false},
	}
	if len(got.Models) != 4 || got.Limits["tokens"] == 0 {
		t.Fatalf("%+v", got)
	}
	for i, m := range want {
		if got.Models[i] != m {
			t.Errorf("%+v, want %+v", got.Models[i], m)
		}
	}
	if broken := got.Models[3]; broken.Name != "none" || !strings.Contains(broken.Error, "config.json") || broken.Writes || broken.Packs {
		t.Errorf("a run that is gone: %+v", broken)
	}
	refused(t, h, "/api/runs", nil, http.StatusNotFound, "no directory of runs")
	refused(t, h, "/api/none", nil, http.StatusNotFound, "no such endpoint")
	refused(t, h, "/api/write", map[string]any{"model": "none", "prompt": "x", "max_tokens": 1}, http.StatusServiceUnavailable, "none cannot be used")
	empty := page.New(page.Options{Models: func() []page.Model { return nil }})
	refused(t, empty, "/api/write", map[string]any{"prompt": "x", "max_tokens": 1}, http.StatusNotFound, "no model")
}

// full is an error with a status of its own.
type full struct{}

func (full) Error() string { return "the server is full" }
func (full) Status() int   { return http.StatusTooManyRequests }

// TestCannotAcquire: the errors of models that cannot be had reach the client, also after the time of its request.
func TestCannotAcquire(t *testing.T) {
	var err error
	h := page.New(page.Options{
		Models:  func() []page.Model { return []page.Model{{Name: "lm"}} },
		Acquire: func(context.Context, string) (*calm.Model, func(), error) { return nil, nil, err },
	})
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		err    error
		status int
		words  string
	}{
		{full{}, http.StatusTooManyRequests, "the server is full"},
		{fmt.Errorf("loading: %w", full{}), http.StatusTooManyRequests, "loading: the server is full"},
		{errors.New("broken"), http.StatusServiceUnavailable, "the model lm cannot be used now: broken"},
	} {
		err = c.err
		for _, path := range []string{"/api/pack", "/api/write"} {
			body := map[string]any{"text": "a"}
			if path == "/api/write" {
				body = map[string]any{"max_tokens": 1}
			}
			refused(t, h, path, body, c.status, c.words)
			if status, text := askWithin(ended, t, h, path, body); status != c.status || !strings.Contains(text, c.words) {
				t.Errorf("%s after the time of the request: %d, %s", path, status, text)
			}
		}
	}
}
