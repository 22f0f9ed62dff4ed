package serve

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
)

// card is what /v1/models says of a model: OpenAI's fields, and what a client of a base model should know.
type card struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	OwnedBy     string   `json:"owned_by"`
	Description string   `json:"description"`
	Kind        run.Kind `json:"kind"`
	BaseModel   bool     `json:"base_model"`
	Template    bool     `json:"chat_template"` // false: chats are plain transcripts
	Patch       int      `json:"patch_size"`    // tokens
	Latent      int      `json:"latent_size,omitempty"`
	Vocabulary  int      `json:"vocab_size"`
	Context     int      `json:"context_length,omitempty"` // tokens; 0 for autoencoders
	Loaded      bool     `json:"loaded"`
}

func (s *Server) card(r *served) card {
	c := card{ID: r.name, Object: "model", Created: r.created.Unix(), OwnedBy: "calm", Kind: r.about.Kind, BaseModel: r.about.Writes(),
		Template: r.template != nil, Patch: r.patch(), Latent: r.latent(), Vocabulary: r.about.VocabSize(), Loaded: s.models.isLoaded(r)}
	switch {
	case !r.about.Writes():
		c.Description = "An autoencoder: it embeds text, and writes none."
	case r.template != nil:
		c.Context = r.about.BlockSize
		c.Description = "A base model: it continues text. Chats follow the template of its tokenizer; whether it was trained on such chats is not known."
	default:
		c.Context = r.about.BlockSize
		c.Description = "A base model: it continues text, and was not trained to follow instructions. A chat is a plain transcript that it continues."
	}
	return c
}

// listModels is GET /v1/models.
func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	list := []card{}
	for _, r := range s.models.runs {
		list = append(list, s.card(r))
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

// oneModel is GET /v1/models/MODEL.
func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	of, err := s.models.named(r.PathValue("model"))
	if err != nil {
		s.problemOf(r.Context(), err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, s.card(of))
}

// health is GET /health. It needs no key.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.isDraining() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "shutting down"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// fingerprintOf returns a name for a run's weights and for how they are used: with the same one, and the same seed, a text is
// the same on the same kind of machine.
func fingerprintOf(dir string, set []string) string {
	h := sha256.New()
	for _, name := range []string{checkpoint.ConfigFile, checkpoint.ModelFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			fmt.Fprintln(h, name, info.Size(), info.ModTime().UnixNano())
		}
	}
	fmt.Fprintf(h, "%q", set)
	return fmt.Sprintf("fp_%x", h.Sum(nil)[:8])
}

// Example returns a command line that uses the server at a URL, with the curl options of a key.
func (s *Server) Example(url, key string) string {
	for _, r := range s.models.runs {
		if r.about.Writes() {
			body, _ := encode(map[string]any{"model": r.name, "prompt": "Call me", "max_tokens": 100}) // it has a JSON
			return fmt.Sprintf("curl %s/v1/completions%s -d %s", url, key, shellQuoted(string(body)))
		}
	}
	body, _ := encode(map[string]any{"model": s.models.runs[0].name, "input": "Call me"})
	return fmt.Sprintf("curl %s/v1/embeddings%s -d %s", url, key, shellQuoted(string(body)))
}

// shellQuoted returns a word in the quotes of a shell.
func shellQuoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
