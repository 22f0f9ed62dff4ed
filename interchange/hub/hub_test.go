package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	hf "github.com/gomlx/go-huggingface/hub"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

// server is a hub with one model.
type server struct {
	*httptest.Server
	files map[string][]byte // those that end in .json are no files of git-lfs
	sums  map[string]string // wrong SHA-256, by name

	mu          sync.Mutex
	cuts        map[string]int // bytes after which the next answers end, by name
	codes       map[string]int // of every answer for a file, or for "" the list
	silent      chan struct{}  // not nil: what the list waits for, or large files
	silentFiles bool
	ranges      []string // asked for
	tokens      map[string]bool
}

func newServer(t *testing.T) *server {
	s := &server{files: map[string][]byte{
		"config.json": []byte(`{"hidden_size": 3}`), "README.md": []byte("hello"),
		"model.safetensors": bytes.Repeat([]byte("0123456789"), 30000), "pytorch_model.bin": []byte("not wanted"),
	}, sums: map[string]string{}, cuts: map[string]int{}, codes: map[string]int{}, tokens: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(s.Close)
	t.Setenv("HF_ENDPOINT", s.URL)
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_HUB_OFFLINE", "")
	t.Setenv("HF_TOKEN", "")
	return s
}

func (s *server) sum(name string) string {
	if wrong := s.sums[name]; wrong != "" {
		return wrong
	}
	sum := sha256.Sum256(s.files[name])
	return hex.EncodeToString(sum[:])
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[r.Header.Get("Authorization")] = true
	name, ok := strings.CutPrefix(r.URL.Path, "/org/name/resolve/"+hash+"/")
	if !ok {
		name = ""
	}
	if s.silent != nil && ok == s.silentFiles {
		select {
		case <-s.silent:
		case <-r.Context().Done():
		}
		return
	}
	if code := s.codes[name]; code != 0 {
		http.Error(w, http.StatusText(code), code)
		return
	}
	if r.URL.Path == "/api/models/org/name/revision/main" {
		var siblings []map[string]any
		for name, data := range s.files {
			f := map[string]any{"rfilename": name, "size": len(data)}
			if !strings.HasSuffix(name, ".json") {
				f["lfs"] = map[string]any{"sha256": s.sum(name), "size": len(data)}
			}
			siblings = append(siblings, f)
		}
		json.NewEncoder(w).Encode(map[string]any{"sha": hash, "siblings": siblings})
		return
	}
	data, there := s.files[name]
	if !ok || !there {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", `"`+s.sum(name)+`"`)
	if r.Method == http.MethodGet && name == "model.safetensors" {
		s.ranges = append(s.ranges, r.Header.Get("Range"))
	}
	if n := s.cuts[name]; n > 0 && r.Method == http.MethodGet {
		delete(s.cuts, name)
		w = &cutter{w, n}
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

// cutter ends a connection after some bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func fetch(t *testing.T, s *server) string {
	t.Helper()
	dir, err := Fetch(t.Context(), "org/name", func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "model.safetensors"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, s.files[name]) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	return dir
}

// TestFetch: what an import needs comes into the cache that HF_HOME names, once, with the token, and is there offline.
func TestFetch(t *testing.T) {
	s := newServer(t)
	t.Setenv("HF_TOKEN", "secret")
	dir := fetch(t, s)
	want := filepath.Join(os.Getenv("HF_HOME"), "hub", "models--org--name", "snapshots", hash)
	if dir != want {
		t.Errorf("it is in %s, want %s", dir, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "pytorch_model.bin")); err == nil {
		t.Error("the weights came in both forms")
	}
	if len(s.tokens) != 1 || !s.tokens["Bearer secret"] {
		t.Errorf("tokens sent: %v", s.tokens)
	}
	fetch(t, s)
	if len(s.ranges) != 1 {
		t.Errorf("the weights were asked for %d times", len(s.ranges))
	}
	s.Close() // and the network is gone
	fetch(t, s)
	t.Setenv("HF_HUB_OFFLINE", "1")
	fetch(t, s)
	if dir, err := Fetch(t.Context(), "org/name@"+hash, nil); err != nil || dir != want {
		t.Errorf("by its commit: %s, %v", dir, err)
	}
}

// TestResume: a connection that is cut goes on where it was, in the same run and in a later one.
func TestResume(t *testing.T) {
	s := newServer(t)
	s.cuts["model.safetensors"] = 70000
	fetch(t, s)
	if len(s.ranges) != 2 || s.ranges[0] != "" || !strings.HasPrefix(s.ranges[1], "bytes=") || s.ranges[1] == "bytes=0-" {
		t.Errorf("asked for %q", s.ranges)
	}

	t.Setenv("HF_HOME", t.TempDir()) // a killed process left the beginning
	blobs := filepath.Join(os.Getenv("HF_HOME"), "hub", "models--org--name", "blobs")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(blobs, s.sum("model.safetensors")+".incomplete")
	if err := os.WriteFile(part, s.files["model.safetensors"][:123456], 0o666); err != nil {
		t.Fatal(err)
	}
	s.ranges = nil
	fetch(t, s)
	if fmt.Sprint(s.ranges) != "[bytes=123456-]" {
		t.Errorf("asked for %q", s.ranges)
	}
}

// TestSmallFileCut: what the library takes for a whole file is none.
func TestSmallFileCut(t *testing.T) {
	s := newServer(t)
	s.cuts["config.json"] = 5
	_, err := Fetch(t.Context(), "org/name", func(string) {})
	if err == nil {
		t.Fatal("a cut config.json passed for a whole one")
	}
	fetch(t, s)
}

func TestFetchFails(t *testing.T) {
	for name, c := range map[string]struct {
		model, want string
		change      func(s *server)
	}{
		"no network":     {"org/name", "Bring it by hand", func(s *server) { s.Close() }},
		"offline":        {"org/name", "HF_HUB_OFFLINE is set", func(s *server) { os.Setenv("HF_HUB_OFFLINE", "1") }},
		"no such model":  {"org/other", "404", func(s *server) {}},
		"no config":      {"org/name", "no config.json", func(s *server) { delete(s.files, "config.json") }},
		"no weights":     {"org/name", "no weights", func(s *server) { delete(s.files, "model.safetensors"); delete(s.files, "pytorch_model.bin") }},
		"wrong checksum": {"org/name", "thrown away", func(s *server) { s.sums["model.safetensors"] = strings.Repeat("ab", 32) }},
		"hostile digest": {"org/name", "SHA-256", func(s *server) { s.sums["model.safetensors"] = "../../../x" }},
		"no name":        {"org", "no name on the hub", func(s *server) {}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c.change(s)
			_, err := Fetch(t.Context(), c.model, func(string) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q in it", err, c.want)
			}
		})
	}
}

// TestRefused: whoever may not read a model learns of HF_TOKEN, whatever is refused first; and how to bring the files.
func TestRefused(t *testing.T) {
	for _, file := range []string{"", "config.json", "model.safetensors"} {
		for code, token := range map[int]bool{http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusNotFound: false} {
			s := newServer(t)
			s.codes[file] = code
			_, err := Fetch(t.Context(), "org/name", func(string) {})
			if err == nil {
				t.Fatalf("%q answers %d: no error", file, code)
			}
			if text := err.Error(); !strings.Contains(text, "Bring it by hand") || strings.Contains(text, "HF_TOKEN") != token {
				t.Errorf("%q answers %d: %v", file, code, err)
			}
		}
	}
}

// TestSilence: a hub that accepts and says nothing is not waited for without end.
func TestSilence(t *testing.T) {
	for _, files := range []bool{false, true} {
		s := newServer(t)
		s.silent, s.silentFiles = make(chan struct{}), files
		m, err := newModel("org/name", func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		m.patience = 20 * time.Millisecond
		if _, err = m.get(t.Context()); err == nil || !strings.Contains(err.Error(), "20ms") || !strings.Contains(err.Error(), "Bring it by hand") {
			t.Errorf("silent files %v: %v", files, err)
		}
		close(s.silent)
	}
}

// TestTwoAtOnce: of two that want a model, one downloads and the other waits.
func TestTwoAtOnce(t *testing.T) {
	s := newServer(t)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := Fetch(t.Context(), "org/name", func(string) {})
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ranges) != 1 {
		t.Errorf("%d downloads", len(s.ranges))
	}
}

// TestNothingLeft: asking for what the hub does not have leaves nothing in the cache.
func TestNothingLeft(t *testing.T) {
	newServer(t)
	if _, err := Fetch(t.Context(), "path/mistyped", func(string) {}); err == nil {
		t.Fatal("there is such a model")
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("HF_HOME"), "hub", "models--*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancel(t *testing.T) {
	newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Fetch(ctx, "org/name", func(string) {}); err == nil {
		t.Error("a cancelled download succeeds")
	}
}

func TestIsName(t *testing.T) {
	for s, want := range map[string]bool{"a/b": true, "a/b@main": true, "a/b@refs/pr/1": true, "a.b/c-d_e": true,
		"a": false, "a/b/c": false, "../a": false, "a/..": false, "/a/b": false, "./a": false, "a/b@": false, "a/b@../c": false, "": false} {
		if IsName(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// TestChoose: shards come with their index.
func TestChoose(t *testing.T) {
	var all []*hf.FileInfo
	for _, n := range []string{"pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
		"config.json", "tokenizer.json", "training_args.bin", "original/x.bin"} {
		all = append(all, &hf.FileInfo{Name: n})
	}
	files, err := choose(all)
	if err != nil || len(files) != 5 {
		t.Errorf("%d files, %v", len(files), err)
	}
}
