package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/serve/page"
	"github.com/calm-go/calm/internal/serve/servetest"
	"github.com/calm-go/calm/run"
)

// Directories with one run of each kind: "ae", "lm", and "more/ar" one level further down.
var (
	trained = sync.OnceValues(func() (string, error) { return makeRuns(steps()) }) // the autoencoder gives its text back
	barely  = sync.OnceValues(func() (string, error) { return makeRuns(10) })
)

// steps is the number of steps of the trained autoencoder. With -short, that is too few to give its text back.
func steps() int {
	if testing.Short() {
		return 50
	}
	return 1000
}

var made []string // directories to remove

// makeRuns trains the autoencoder for that many steps, and the others for a few.
func makeRuns(steps int) (string, error) {
	dir, err := os.MkdirTemp("", "calm-page-*")
	if err != nil {
		return "", err
	}
	made = append(made, dir)
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the whale swam round and round a ship of oak while old men sang to it until morning came")
	var b strings.Builder
	for b.Len() < 6000 {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(" \n"[r.IntN(8)/7])
	}
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(b.String()), 0o666); err != nil {
		return dir, err
	}
	sizes := []string{"hidden_size=16", "intermediate_size=24", "block_size=32", "batch_size=2", "eval_blocks=2", "warmup_steps=2",
		"logging_steps=5", "eval_steps=10", "save_steps=0"}
	layers := []string{"num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1"}
	ae := filepath.Join(dir, "ae")
	for _, o := range []run.Options{
		{Kind: run.AE, Out: ae, Steps: steps, Set: slices.Concat(sizes, []string{"latent_size=12", "hidden_size=32", "learning_rate=0.004", "batch_size=16"})},
		{Kind: run.LM, Out: filepath.Join(dir, "lm"), AE: ae, Steps: 40, Set: slices.Concat(sizes, layers, []string{"noise_size=6", "target_samples=4", "num_samples=2"})},
		{Kind: run.AR, Out: filepath.Join(dir, "more", "ar"), Steps: 20, Set: slices.Concat(sizes, layers)},
	} {
		o.Data, o.Preset = []string{text}, "quickstart"
		if err := servetest.TrainRun(o); err != nil {
			return dir, err
		}
	}
	return dir, nil
}

func TestMain(m *testing.M) {
	status := m.Run()
	for _, dir := range made {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// library opens the models of a directory as they are asked for.
type library struct {
	mu     sync.Mutex
	models map[string]*calm.Model
	served []page.Model
	held   int // models acquired and not released
}

// newLibrary serves the runs of those names in a directory.
func newLibrary(t testing.TB, dir string, names ...string) *library {
	t.Helper()
	l := &library{models: map[string]*calm.Model{}}
	for _, name := range names {
		l.served = append(l.served, page.Model{Name: name, Dir: filepath.Join(dir, filepath.FromSlash(name))})
	}
	t.Cleanup(func() {
		for _, m := range l.models {
			m.Close()
		}
		if l.held != 0 {
			t.Errorf("%d models are not released", l.held)
		}
	})
	return l
}

func (l *library) list() []page.Model { return l.served }

func (l *library) acquire(_ context.Context, name string) (*calm.Model, func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.models[name]
	if !ok {
		i := slices.IndexFunc(l.served, func(m page.Model) bool { return m.Name == name })
		var err error
		if m, err = calm.Open(l.served[i].Dir, calm.Threads(1)); err != nil {
			return nil, nil, err
		}
		l.models[name] = m
	}
	l.held++
	return m, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held--
	}, nil
}

// released reports whether all models are released.
func (l *library) released() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held == 0
}

// runsDir returns the trained runs.
func runsDir(t testing.TB) string {
	t.Helper()
	dir, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// handler returns the page of the trained runs.
func handler(t testing.TB) (http.Handler, *library) {
	t.Helper()
	return handlerOf(t, runsDir(t))
}

func handlerOf(t testing.TB, dir string) (http.Handler, *library) {
	l := newLibrary(t, dir, "lm", "ae", "more/ar")
	return page.New(page.Options{Models: l.list, Acquire: l.acquire, Runs: dir}), l
}

// ask sends a request, with a body if it is not nil, and returns the status and the answer.
func ask(t testing.TB, h http.Handler, path string, body any) (int, string) {
	t.Helper()
	return askWithin(t.Context(), t, h, path, body)
}

// askWithin is ask for a client that leaves when the context ends.
func askWithin(ctx context.Context, t testing.TB, h http.Handler, path string, body any) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if body != nil {
		data, isText := body.(string)
		if !isText {
			encoded, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			data = string(encoded)
		}
		r = httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(data))
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// answer asks and decodes an answer with status 200.
func answer[T any](t testing.TB, h http.Handler, path string, body any) (v T) {
	t.Helper()
	status, text := ask(t, h, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", path, status, text)
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%s: %v in %s", path, err, text)
	}
	return v
}

// refused checks that a request is refused with a status and one sentence of JSON that contains words.
func refused(t testing.TB, h http.Handler, path string, body any, status int, words string) {
	t.Helper()
	got, text := ask(t, h, path, body)
	var e struct{ Error string }
	err := json.Unmarshal([]byte(text), &e)
	if got != status || err != nil || !strings.Contains(e.Error, words) || strings.Contains(e.Error, "\n") {
		t.Errorf("%s %.80q: status %d, %s, %v; want %d and %q", path, fmt.Sprint(body), got, text, err, status, words)
	}
}

// lines decodes lines of JSON.
func lines[T any](t testing.TB, text string) (list []T) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var v T
		if err := decoder.Decode(&v); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		list = append(list, v)
	}
}
