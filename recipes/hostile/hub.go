//go:build unix

package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// revision is the commit of the hub's model.
const revision = "0123456789abcdef0123456789abcdef01234567"

// lies are the ways in which the hub answers wrongly.
var lies = []string{"longer", "shorter", "other bytes", "error", "redirects", "slow", "no JSON", "other size", "other sum", "hostile name", "hangs up"}

// hub serves the exported model, at first with a lie.
type hub struct {
	files  map[string]string
	lie    string
	truth  atomic.Bool // it does not lie any more
	random func(n int) int
}

// listing describes the files as the hub's interface does.
func (h *hub) listing(lie string) any {
	var siblings []map[string]any
	for name, data := range h.files {
		size, sum256, sum1 := len(data), sha256.Sum256([]byte(data)), sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(data), data))
		switch lie {
		case "other size":
			size += h.random(2000) - 1000
		case "other sum":
			sum256[0]++
			sum1[0]++
		case "hostile name":
			name = "../../" + name
		}
		f := map[string]any{"rfilename": name, "size": size, "blobId": hex.EncodeToString(sum1[:])}
		if !strings.HasSuffix(name, ".json") {
			f["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum256[:]), "size": size}
		}
		siblings = append(siblings, f)
	}
	return map[string]any{"sha": revision, "siblings": siblings}
}

// ServeHTTP answers a request.
func (h *hub) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	lie := h.lie
	if h.truth.Load() {
		lie = ""
	}
	switch lie {
	case "error":
		http.Error(w, "\x1b[2J", []int{400, 401, 404, 429, 500, 503}[h.random(6)])
		return
	case "redirects":
		http.Redirect(w, q, q.URL.Path+"?again", http.StatusFound)
		return
	case "hangs up":
		panic(http.ErrAbortHandler)
	}
	if q.URL.Path == "/api/models/org/name/revision/main" {
		if lie == "no JSON" {
			fmt.Fprint(w, `{"sha": [[[`)
			return
		}
		_ = json.NewEncoder(w).Encode(h.listing(lie))
		return
	}
	name, _ := strings.CutPrefix(q.URL.Path, "/org/name/resolve/"+revision+"/")
	data, ok := h.files[name]
	if !ok {
		http.NotFound(w, q)
		return
	}
	switch lie {
	case "longer":
		data += strings.Repeat("more", 1000)
	case "shorter":
		data = data[:len(data)/2]
	case "other bytes":
		data = strings.Repeat("x", len(data))
	case "slow":
		time.Sleep(200 * time.Millisecond)
	}
	http.ServeContent(w, q, name, time.Time{}, strings.NewReader(data))
}

// lie imports a model from a hub that lies. The import ends. Once the hub tells the truth, the same import succeeds.
func lie(r *round) {
	h := &hub{files: tree(r.path("exported")), lie: lies[r.IntN(len(lies))], random: r.IntN}
	server := httptest.NewServer(h)
	defer server.Close()
	env := []string{"HF_ENDPOINT=" + server.URL, "HF_HOME=" + filepath.Join(r.dir, "cache"), "HF_HUB_CACHE=", "HF_HUB_OFFLINE=", "HF_TOKEN="}
	out := filepath.Join(r.dir, "made")
	args := []string{"import", "org/name", out}
	r.fault()
	r.name += ": " + h.lie
	first := r.do(command{args: args, env: env})
	if strings.Contains(first.text, "\x1b") {
		r.fail("%s: an escape code is printed: %q", h.lie, first.text)
	}
	if first.status == 0 {
		return
	}
	h.truth.Store(true)
	if e := r.do(command{args: args, env: env}); e.status != 0 {
		r.fail("%s, and then the truth: status %d: %.2000s", h.lie, e.status, e.text)
	} else if tree(out)["model.safetensors"] != r.made["import"]["model.safetensors"] {
		r.fail("%s, and then the truth: other weights", h.lie)
	}
}
