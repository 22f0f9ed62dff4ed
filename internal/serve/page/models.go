package page

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
)

// description is what the page has to know of a model before it is opened.
type description struct {
	Name       string   `json:"name"`
	Kind       run.Kind `json:"kind"`
	Head       string   `json:"head"`        // of a language model
	PatchSize  int      `json:"patch_size"`  // K; 1 for the baseline
	LatentSize int      `json:"latent_size"` // Z; 0 for the baseline
	Context    int      `json:"context"`     // tokens that the model attends to at most
	Writes     bool     `json:"writes"`      // it writes text
	Draws      bool     `json:"draws"`       // it has samplers below temperature 1
	Packs      bool     `json:"packs"`       // it has an autoencoder
	Error      string   `json:"error"`       // why it cannot be used; ""
}

// models is the endpoint that lists the models, with the limits of requests.
func (p page) models(w http.ResponseWriter, r *http.Request) error {
	list := []description{}
	for _, m := range p.Models() {
		list = append(list, describe(m))
	}
	return send(w, r, map[string]any{"models": list, "limits": limits})
}

// describe reads the configuration of a model's run, and nothing else.
func describe(m Model) description {
	c, err := config.Peek[struct {
		Kind       run.Kind `json:"kind"`
		Head       string   `json:"model_type"`
		PatchSize  int      `json:"patch_size"`
		LatentSize int      `json:"latent_size"`
		BlockSize  int      `json:"block_size"`
	}](filepath.Join(m.Dir, checkpoint.ConfigFile))
	if err == nil {
		if _, missing := os.Stat(filepath.Join(m.Dir, checkpoint.TokenizerFile)); missing != nil {
			err = errors.New("the run has no tokenizer, and the page works with text: import it again with one")
		}
	}
	if err != nil {
		return description{Name: m.Name, Error: err.Error()}
	}
	d := description{Name: m.Name, Kind: c.Kind, Head: c.Head, PatchSize: max(1, c.PatchSize), LatentSize: c.LatentSize, Context: c.BlockSize,
		Writes: c.Kind != run.AE, Draws: c.Kind == run.LM, Packs: c.Kind != run.AR}
	return d
}
