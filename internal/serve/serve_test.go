package serve_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/serve"
	"github.com/calm-go/calm/internal/serve/servetest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if r, err := tinyRuns(); err == nil {
		os.RemoveAll(r.Dir)
	}
	os.Exit(status)
}

// tinyRuns trains the runs on the first call. All tests share them, and do not change them.
var tinyRuns = sync.OnceValues(func() (servetest.Runs, error) {
	dir, err := os.MkdirTemp("", "calm-serve-")
	if err != nil {
		return servetest.Runs{}, err
	}
	return servetest.Train(dir, servetest.Song)
})

// options are those of tests, with limits that none of them meets by chance.
func options(t testing.TB, change func(*serve.Options)) serve.Options {
	t.Helper()
	r, err := tinyRuns()
	if err != nil {
		t.Fatal(err)
	}
	o := serve.Options{Runs: []string{r.LM}, Threads: 1, MaxLoaded: 4, Streams: 8, Queue: 32, MaxTokens: 1 << 20, MaxBody: 1 << 20,
		Timeout: time.Minute, Temperature: 1, Log: logTo{t}}
	if change != nil {
		change(&o)
	}
	return o
}

// logTo makes what a server logs a failure of the test: tests cause no errors of the server's own.
type logTo struct{ t testing.TB }

func (l logTo) Write(p []byte) (int, error) {
	l.t.Errorf("the server logs: %s", p)
	return len(p), nil
}

// server is a server for a test.
type server struct {
	*serve.Server
	url string
	t   testing.TB
}

// start starts a server. It serves tinyRuns' language model unless the options are changed.
func start(t testing.TB, change func(*serve.Options)) *server {
	t.Helper()
	s, err := serve.New(options(t, change))
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &server{s, h.URL, t}
}

// all serves all runs.
func all(o *serve.Options) {
	r, _ := tinyRuns() // options reported the error
	o.Runs = []string{r.LM, r.AR, r.AE}
}

// reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request. Headers are pairs of name and value.
func (s *server) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{got.StatusCode, got.Header, string(data)}
}

func (s *server) post(path, body string) reply {
	s.t.Helper()
	return s.do("POST", path, body)
}

// ok sends a request that must succeed, and decodes its answer.
func ok[T any](s *server, path, body string) (v T) {
	s.t.Helper()
	got := s.post(path, body)
	if got.status != http.StatusOK {
		s.t.Fatalf("%s %s: status %d, %s", path, body, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &v); err != nil {
		s.t.Fatalf("%s: %v", got.body, err)
	}
	return v
}

// texts is what tests read of completions and chats.
type texts struct {
	Object  string
	Choices []struct {
		Index   int
		Text    string
		Message struct{ Role, Content string }
		Finish  string `json:"finish_reason"`
		Seed    uint64
		EndedBy string  `json:"ended_by"`
		IDs     []int32 `json:"token_ids"`
	}
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
		Patches    int
		Draws      int
	}
}

// failure is OpenAI's form of an error.
type failure struct {
	Error struct {
		Message, Type string
		Param, Code   *string
	}
}

// checkFailure checks an error's status, its form, its field and code, and a part of its message.
func checkFailure(t testing.TB, what string, got reply, status int, param, code, message string) {
	t.Helper()
	var f failure
	decoder := json.NewDecoder(bytes.NewReader([]byte(got.body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		t.Errorf("%s: status %d: %v: %s", what, got.status, err, got.body)
		return
	}
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	if got.status != status || text(f.Error.Param) != param || text(f.Error.Code) != code || f.Error.Type == "" || !strings.Contains(f.Error.Message, message) {
		t.Errorf("%s: status %d, %s; want status %d, param %q, code %q, %q", what, got.status, got.body, status, param, code, message)
	}
}
