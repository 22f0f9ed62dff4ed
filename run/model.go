package run

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Model is the model of a run with all that belongs to it.
type Model struct {
	*Common
	Dir       string               // the run's directory; "" for a model of a preset
	Tokenizer *tokenizer.Tokenizer // nil in a run that was imported without one; text is read by TextTokenizer
	Params    *nn.Params           // those of Network, by the reference's names
	DType     DType                // of the weights in memory; "" where they were not opened

	// Network is an *autoencoder.Model, *lm.Model or *ar.Model, as Kind says.
	Network Network

	configFile any              // *AEConfig, *LMConfig or *ARConfig, of which Common is a part
	weights    *checkpoint.File // that the parameters' values lie in; nil where they are the model's own
}

// Open opens the run in dir for evaluation and generation: its newest weights, without what only training needs. Weights
// that the file has in the format asked for are not read but mapped into memory, which programs share; nobody may write
// to them. Assignments key=value say how weights are held, see [Inference], and of a language model how its head draws
// (head.SamplingKeys); others are a *UsageError. Close the model.
func Open(dir string, set ...string) (*Model, error) {
	inference, sampling := SplitSets(set)
	c, err := ParseInference(inference)
	if err != nil {
		return nil, err
	}
	for _, s := range sampling {
		if key, _, _ := strings.Cut(s, "="); !slices.Contains(head.SamplingKeys(), strings.TrimSpace(key)) {
			return nil, usage("--set %s: of a trained model only dtype, %s can be set", s, strings.Join(head.SamplingKeys(), ", "))
		}
	}
	m, err := describe(dir, false, sampling...)
	if err != nil {
		return nil, err
	}
	r, err := checkpoint.OpenRun(dir)
	if err != nil {
		return nil, err
	}
	weights, err := r.Weights()
	if err != nil {
		return nil, err
	}
	m.DType = c.DType
	views, err := m.load(weights, c.DType)
	if views {
		m.weights = weights
		return m, nil
	}
	if err = errors.Join(err, weights.Close()); err != nil {
		return nil, err
	}
	return m, nil
}

// Describe reads what the run in dir is, if asked with what only training needs, and leaves the weights where they are:
// its parameters have no values.
func Describe(dir string, training bool) (*Model, error) { return describe(dir, training) }

// describe reads configuration and tokenizer of a run and declares its parameters, without values. Assignments in set are
// for language models.
func describe(dir string, training bool, set ...string) (*Model, error) {
	if _, err := checkpoint.OpenRun(dir); err != nil {
		return nil, &UsageError{err}
	}
	path := filepath.Join(dir, checkpoint.ConfigFile)
	kind, err := config.Peek[struct {
		Kind Kind `json:"kind"`
	}](path)
	if err != nil {
		return nil, &UsageError{err}
	}
	k, ok := kindNamed(kind.Kind)
	if !ok {
		return nil, usage("%s: kind is %q, want ae, lm or ar: is it a run of calm?", path, kind.Kind)
	}
	if len(set) > 0 && !k.sampling {
		return nil, usage("--set %s: %s is a run of kind %s, and only language models (lm) have such keys", set[0], dir, kind.Kind)
	}
	p, err := k.read(path, set)
	if err != nil {
		return nil, err
	}
	m := newModel(dir, nil, p, training)
	m.Data = far(dir, m.Data)
	m.Tokenizer, err = tokenizer.Load(filepath.Join(dir, checkpoint.TokenizerFile))
	if err != nil && !(m.Imported != "" && errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("open the run %s: %w", dir, err)
	}
	if m.Tokenizer != nil { // of a run over an imported autoencoder too, whose tokens may have unusual names
		v := m.Network.Vocabulary()
		m.Tokenizer = m.Tokenizer.WithRoles(v.BOS, v.EOS, v.PAD)
	}
	return m, nil
}

// newModel declares the model of a plan, its parameters without values, if asked with what only training needs.
func newModel(dir string, tok *tokenizer.Tokenizer, p plan, training bool) *Model {
	m := &Model{Common: p.common, Dir: dir, Tokenizer: tok, Params: nn.NewParams(), configFile: p.config}
	m.Network = p.declare(m.Params, training)
	return m
}

// TextTokenizer returns how the run reads text: with its tokenizer, or nil. An imported model was trained on text in
// which the literals of special tokens are these tokens, and has them; in calm's own they are ordinary text, so that no
// text can end a document.
func (m *Model) TextTokenizer() *tokenizer.Tokenizer {
	if m.Tokenizer == nil || m.Imported == "" {
		return m.Tokenizer
	}
	return m.Tokenizer.TakingLiterals()
}

// needTokenizer refuses what cannot be done on ids alone.
func (m *Model) needTokenizer(what string) error {
	if m.Tokenizer == nil {
		return usage("%s %s: the run was imported without a tokenizer: import it again with --tokenizer FILE, or work on ids", what, m.Dir)
	}
	return nil
}

func readAE(path string, _ []string) (plan, error) {
	c, err := config.Compose(AEConfig{}, path, nil)
	return c.plan(), err
}

func readAR(path string, _ []string) (plan, error) {
	c, err := config.Compose(ARConfig{}, path, nil)
	return c.plan(), err
}

func readLM(path string, set []string) (plan, error) {
	ae, err := config.Compose(AEConfig{}, filepath.Join(filepath.Dir(path), checkpoint.AutoencoderIn, checkpoint.ConfigFile), nil)
	if err != nil {
		return plan{}, err
	}
	over := LMConfig{LanguageConfig: lm.Off()} // of keys which runs lack that are older than these
	if err := drawsBy(path, set); err != nil {
		return plan{}, err
	}
	c, err := config.ComposeWith(over, path, set, func(c *LMConfig, _ func(string) bool) error { return c.ValidateWith(ae.AutoencoderConfig) })
	if err != nil {
		return plan{}, err
	}
	return c.plan(ae.AutoencoderConfig), nil
}

// drawsBy refuses assignments that do not change how the head of the configuration at path draws.
func drawsBy(path string, set []string) error {
	c, err := config.Peek[head.Config](path)
	kind, known := head.Lookup(c.ModelType)
	if err != nil || !known {
		return nil // it is told when the file is read in full
	}
	for _, s := range set {
		switch key, _, _ := strings.Cut(s, "="); {
		case len(kind.SamplingKeys) == 0:
			return usage("--set %s: the %s head has no keys that can be set anew: leave it out", s, kind.Name)
		case !slices.Contains(kind.SamplingKeys, strings.TrimSpace(key)):
			return usage("--set %s: the %s head has no such key, only %s: leave it out", s, kind.Name, strings.Join(kind.SamplingKeys, ", "))
		}
	}
	return nil
}

// VocabSize returns the number of tokens that the model has, which may be more than the tokenizer's.
func (m *Model) VocabSize() int { return m.Network.Vocabulary().Size }

// Objective returns what training optimizes.
func (m *Model) Objective() (*train.Objective, error) { return m.Network.Objective(m.TrainConfig) }

// Config returns the resolved configuration as it stands in config.json, with absolute paths of the text.
func (m *Model) Config() any { return m.configFile }
