package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/calm-go/calm/run"
)

// access decides who may use the server.
type access struct {
	keys    [][sha256.Size]byte // hashes, so that a comparison takes as long for every key
	origins []string            // of pages in browsers that may read answers; "*": all
	cross   *http.CrossOriginProtection
	local   bool // only requests to the names of this machine
}

// newAccess checks the options. A wrong origin is a *run.UsageError.
func newAccess(keys, origins []string, local bool) (*access, error) {
	a := &access{origins: origins, cross: http.NewCrossOriginProtection(), local: local && len(keys) == 0}
	for _, key := range keys {
		a.keys = append(a.keys, sha256.Sum256([]byte(key)))
	}
	for _, origin := range origins {
		if origin == "*" {
			continue
		}
		if err := a.cross.AddTrustedOrigin(origin); err != nil {
			return nil, &run.UsageError{Err: err}
		}
	}
	return a, nil
}

// open reports whether a path needs no key: the health of the server, and pages, which ask for the key themselves.
func open(path string) bool {
	for _, prefix := range []string{"/v1/", "/api/", "/tokenize", "/detokenize", "/metrics"} {
		if strings.HasPrefix(path, prefix) {
			return false
		}
	}
	return true
}

// allow answers a request that is not to be served, and reports whether it is.
func (a *access) allow(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && (slices.Contains(a.origins, origin) || slices.Contains(a.origins, "*")) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			h.Set("Access-Control-Allow-Headers", allowedHeaders(r))
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return false
		}
	} else if err := a.cross.Check(r); err != nil {
		forbidden("a page of another site may not use this server: calm serve --cors ORIGIN allows it").write(w)
		return false
	}
	if a.local && !isLocal(r.Host) {
		forbidden("without an API key this server answers to localhost only, not to " + short([]byte(r.Host))).write(w)
		return false
	}
	if len(a.keys) > 0 && !open(r.URL.Path) && !a.hasKey(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		errKey.write(w)
		return false
	}
	return true
}

func forbidden(message string) *problem {
	return &problem{status: http.StatusForbidden, message: message, kind: "permission_error", code: "forbidden"}
}

// allowedHeaders returns the headers that a page asks to send. OpenAI's clients have many of their own.
func allowedHeaders(r *http.Request) string {
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		return asked
	}
	return "Authorization, Content-Type"
}

// hasKey compares the request's key with all keys, in a time that does not depend on them.
func (a *access) hasKey(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum, found := sha256.Sum256([]byte(strings.TrimSpace(key))), 0
	for _, k := range a.keys {
		found |= subtle.ConstantTimeCompare(sum[:], k[:])
	}
	return found == 1 && strings.EqualFold(scheme, "Bearer")
}

// isLocal reports whether a request's host is a name of this machine for itself. The name of another site means that a page of it
// reaches this server through a name server that lies.
func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	ip := net.ParseIP(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}
