// Package page is the page that `calm serve` shows in a browser: it writes with a model, takes text through an autoencoder,
// and draws the curves of runs (docs/page.md).
//
// The page is plain HTML, CSS and ES modules, embedded into the binary. It asks no other host for anything.
package page

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/calm-go/calm"
)

// API is the prefix of the endpoints that compute or read runs. With an API key set, a server must ask for it here and
// nowhere else: the page itself has to load before it can ask for the key, and is the same for everybody.
const API = "/api/"

// Options say what the page shows.
type Options struct {
	// Models lists the models that are served, the default first. It is called for every request that needs it.
	Models func() []Model
	// Acquire opens the model of that name, or waits for it. The page calls release when it no longer needs the model. It
	// is called only for names that Models lists. The HTTP status of an error is what its method Status says, or else 503.
	Acquire func(ctx context.Context, name string) (m *calm.Model, release func(), err error)
	// Runs is the directory whose runs the page Runs shows; "" for none.
	Runs string
}

// Model is a model that is served.
type Model struct {
	Name string // as in requests
	Dir  string // the run's directory
}

//go:embed static
var embedded embed.FS

// policy is the page's Content-Security-Policy: its own files alone, and no code or style inside the HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// page holds what the handlers share.
type page struct {
	Options
}

// New returns the handler of the page at "/", of its files under "/static/", and of its endpoints under API. Requests that
// another site's page makes to the endpoints are refused.
func New(o Options) http.Handler {
	p := page{o}
	files := http.NewServeMux()
	files.Handle("GET /{$}", newFile("index.html"))
	err := fs.WalkDir(embedded, "static", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files.Handle("GET /"+name, newFile(strings.TrimPrefix(name, "static/")))
		}
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	api := http.NewServeMux()
	api.Handle("GET "+API+"models", endpoint(p.models))
	api.Handle("POST "+API+"write", endpoint(p.write))
	api.Handle("POST "+API+"pack", endpoint(p.pack))
	api.Handle("POST "+API+"unpack", endpoint(p.unpack))
	api.Handle("GET "+API+"runs", endpoint(p.runs))
	api.Handle("GET "+API+"runs/config", endpoint(p.runConfig))
	api.Handle("GET "+API+"runs/metrics", endpoint(p.runMetrics))
	api.Handle(API, endpoint(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusNotFound, "there is no such endpoint")
	}))
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(endpoint(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusForbidden, "the request comes from another site's page")
	}))
	files.Handle(API, foreign.Handler(api))
	return guarded(files)
}

// guarded sets the headers that keep the page to itself.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}

// file is a file of the page.
type file struct {
	name, kind, tag string
	data            []byte
}

// kinds are the media types of the page's files. The system's table may lack them or have others.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func newFile(name string) *file {
	data, err := embedded.ReadFile("static/" + name)
	if err != nil {
		panic(err) // it is in the binary
	}
	kind, ok := kinds[path.Ext(name)]
	if !ok {
		kind = "text/plain; charset=utf-8" // licences
	}
	sum := sha256.Sum256(data)
	return &file{name, kind, `"` + hex.EncodeToString(sum[:12]) + `"`, data}
}

// ServeHTTP sends the file, or says that the browser has it already: a new version of calm has other files.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sendTagged(w, r, f.kind, f.tag, f.data)
}
