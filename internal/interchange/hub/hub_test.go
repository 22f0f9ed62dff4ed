package hub

import (
	"bytes"
	"crypto/sha1"
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

const revision = "0123456789abcdef0123456789abcdef01234567"

// server is a hub with one model.
type server struct {
	*httptest.Server
	files map[string][]byte // files that end in .json are not in Git LFS
	sums  map[string]string // wrong SHA-256, by name

	instead func(w http.ResponseWriter, r *http.Request) bool // may answer instead of the server

	mu     sync.Mutex
	cuts   map[string]int // bytes after which the next answers end, by name
	ranges []string       // requested ranges
	tokens map[string]bool
}

func newServer(t *testing.T) *server {
	s := &server{files: map[string][]byte{
		"config.json": []byte(`{"hidden_size": 3}`), "README.md": []byte("hello"),
		"model.safetensors": bytes.Repeat([]byte("0123456789"), 30000), "pytorch_model.bin": []byte("not wanted"),
	}, sums: map[string]string{}, cuts: map[string]int{}, tokens: map[string]bool{}}
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

// object returns git's checksum, which small files have.
func (s *server) object(name string) string {
	if wrong := s.sums[name]; wrong != "" {
		return wrong
	}
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(s.files[name]), s.files[name]))
	return hex.EncodeToString(sum[:])
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	if s.instead != nil && s.instead(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[r.Header.Get("Authorization")] = true
	if r.URL.Path == "/api/models/org/name/revision/main" {
		var siblings []map[string]any
		for name, data := range s.files {
			f := map[string]any{"rfilename": name, "size": len(data), "blobId": s.object(name)}
			if !strings.HasSuffix(name, ".json") {
				f["lfs"] = map[string]any{"sha256": s.sum(name), "size": len(data)}
			}
			siblings = append(siblings, f)
		}
		json.NewEncoder(w).Encode(map[string]any{"sha": revision, "siblings": siblings})
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/org/name/resolve/"+revision+"/")
	data, there := s.files[name]
	if !ok || !there {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
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

// TestFetch: the files that an import needs are downloaded once, with the token, to the cache in HF_HOME, and are found there
// offline.
func TestFetch(t *testing.T) {
	s := newServer(t)
	t.Setenv("HF_TOKEN", "secret")
	dir := fetch(t, s)
	want := filepath.Join(os.Getenv("HF_HOME"), "hub", "models--org--name", "snapshots", revision)
	if dir != want {
		t.Errorf("it is in %s, want %s", dir, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "pytorch_model.bin")); err == nil {
		t.Error("the weights were downloaded in both formats")
	}
	if len(s.tokens) != 1 || !s.tokens["Bearer secret"] {
		t.Errorf("tokens sent: %v", s.tokens)
	}
	fetch(t, s)
	if len(s.ranges) != 1 {
		t.Errorf("the weights were asked for %d times", len(s.ranges))
	}
	s.Close() // no network any more
	fetch(t, s)
	t.Setenv("HF_HUB_OFFLINE", "1")
	fetch(t, s)
	if dir, err := Fetch(t.Context(), "org/name@"+revision, nil); err != nil || dir != want {
		t.Errorf("by its commit: %s, %v", dir, err)
	}
}

// TestResume: after a cut connection the download continues where it ended, in the same process and in a later one.
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

// TestSmallFileCut: downloads of small files continue too, and their checksums are checked.
func TestSmallFileCut(t *testing.T) {
	s := newServer(t)
	s.cuts["config.json"] = 5
	fetch(t, s)
}

func TestFetchFails(t *testing.T) {
	for name, c := range map[string]struct {
		model, want string
		change      func(s *server)
	}{
		"no network":     {"org/name", "Download it by hand", func(s *server) { s.Close() }},
		"offline":        {"org/name", "HF_HUB_OFFLINE is set", func(s *server) { os.Setenv("HF_HUB_OFFLINE", "1") }},
		"no such model":  {"org/other", "404", func(s *server) {}},
		"no config":      {"org/name", "no config.json", func(s *server) { delete(s.files, "config.json") }},
		"no weights":     {"org/name", "no weights", func(s *server) { delete(s.files, "model.safetensors"); delete(s.files, "pytorch_model.bin") }},
		"wrong checksum": {"org/name", "is deleted", func(s *server) { s.sums["model.safetensors"] = strings.Repeat("ab", 32) }},
		"wrong object":   {"org/name", "is deleted", func(s *server) { s.sums["config.json"] = strings.Repeat("ab", 20) }},
		"hostile object": {"org/name", "checksum", func(s *server) { s.sums["config.json"] = "../../../x" }},
		"hostile digest": {"org/name", "checksum", func(s *server) { s.sums["model.safetensors"] = "../../../x" }},
		"no name":        {"org", "not a name on the hub", func(s *server) {}},
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

func TestIsName(t *testing.T) {
	for s, want := range map[string]bool{"a/b": true, "a/b@main": true, "a/b@refs/pr/1": true, "a.b/c-d_e": true,
		"a": false, "a/b/c": false, "../a": false, "a/..": false, "/a/b": false, "./a": false, "a/b@": false, "a/b@../c": false, "": false} {
		if IsName(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// TestChoose: shards are chosen with their index.
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
