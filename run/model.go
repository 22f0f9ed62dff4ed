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

// Model is the model of a run, with its configuration and tokenizer.
type Model struct {
	*Common
	Dir       string               // the run's directory; "" for a model made from a preset
	Tokenizer *tokenizer.Tokenizer // nil in a run imported without one; TextTokenizer returns the one to read text with
	Params    *nn.Params           // parameters of Network, with the reference's names
	DType     DType                // number format of weight matrices in memory; "" where the weights were not opened

	// Network is an *autoencoder.Model, *lm.Model or *ar.Model, depending on Kind.
	Network Network

	configFile any              // *AEConfig, *LMConfig or *ARConfig; contains Common
	weights    *checkpoint.File // the file that parameters are mapped from; nil where all are copies
	closed     bool
}

// Open opens the run in dir for evaluation and generation, with its newest weights and without the parameters that only
// training needs. Weights that the file has in the requested format are mapped into memory, which processes share; they must
// not be written to.
//
// The assignments key=value set how weights are held (dtype, see [DType]) and, for a language model, how its head samples
// (head.SamplingKeys). Other keys are a *UsageError. The caller must call Close.
func Open(dir string, set ...string) (*Model, error) {
	dtype, sampling, err := SplitDType(set)
	if err != nil {
		return nil, err
	}
	for _, s := range sampling {
		if key, _, _ := strings.Cut(s, "="); !slices.Contains(head.SamplingKeys(), strings.TrimSpace(key)) {
			return nil, usage("--set %s: for a trained model only these keys can be set: dtype, %s", s, strings.Join(head.SamplingKeys(), ", "))
		}
	}
	m, err := describe(dir, false, false, sampling...)
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
	m.DType = dtype
	views, err := m.load(weights, dtype)
	if views {
		if dtype == Int8 { // of the file, only rows of tables are read from now on
			weights.Forget()
		}
		m.weights = weights
		return m, nil
	}
	if err = errors.Join(err, weights.Close()); err != nil {
		return nil, err
	}
	return m, nil
}

// Describe reads the configuration and the tokenizer of the run in dir and declares its parameters, without values: it does
// not read the weights. If training is true, the parameters include those that only training needs. A configuration that does
// not belong to the tokenizer is a *UsageError; files that differ from what calm wrote are an error too.
func Describe(dir string, training bool) (*Model, error) { return describe(dir, training, false) }

// describe is Describe with assignments to the sampling keys of a language model. If altered is true, the configuration and the
// tokenizer may differ from what calm wrote.
func describe(dir string, training, altered bool, set ...string) (*Model, error) {
	opened, err := checkpoint.OpenRun(dir)
	if err != nil {
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
		return nil, usage("--set %s: %s is a run of kind %s, and only language models (lm) have this key", set[0], dir, kind.Kind)
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
	if err := m.fits(path); err != nil {
		return nil, err
	}
	if !altered {
		if err := opened.Unaltered(); err != nil {
			return nil, err
		}
	}
	if m.Tokenizer != nil { // special tokens of an imported tokenizer may have unusual names: the model has their ids
		v := m.Network.Vocabulary()
		m.Tokenizer = m.Tokenizer.WithRoles(v.BOS, v.EOS, v.PAD)
	}
	return m, nil
}

// fits checks that the configuration at path has the tokenizer's vocabulary and special tokens. Where the names in a tokenizer do
// not tell which tokens are special, as in some imported ones, and for imported padding, the configuration decides. The padding of a
// language model is that of its autoencoder.
func (m *Model) fits(path string) error {
	if m.Tokenizer == nil {
		return nil
	}
	v, tok := m.Network.Vocabulary(), m.Tokenizer
	bos, eos := v.BOS, v.EOS
	if tok.BOS() == tokenizer.None {
		bos = tokenizer.None
	}
	if tok.EOS() == tokenizer.None {
		eos = tokenizer.None
	}
	p := reads(tok, v.Size, int(bos), int(eos))
	if m.Imported == "" && m.Kind == AE {
		config.Same(&p, "pad_token_id", int(v.PAD), int(tok.PAD()), "the tokenizer")
	}
	if err := p.Err(); err != nil {
		return &UsageError{fmt.Errorf("%s does not belong to %s: %w", path, checkpoint.TokenizerFile, err)}
	}
	return nil
}

// newModel declares the model of a plan. Its parameters have no values. If training is true, they include those that only
// training needs.
func newModel(dir string, tok *tokenizer.Tokenizer, p plan, training bool) *Model {
	m := &Model{Common: p.common, Dir: dir, Tokenizer: tok, Params: nn.NewParams(), configFile: p.config}
	m.Network = p.declare(m.Params, training)
	return m
}

// TextTokenizer returns the tokenizer that reads text for this run, or nil where the run has none. In text for an imported run
// the literals of special tokens are these tokens, as in the text that it was trained on. In text for other runs they are
// ordinary text, so that a text cannot end a document (docs/spec.md, section 1).
func (m *Model) TextTokenizer() *tokenizer.Tokenizer {
	if m.Tokenizer == nil || m.Imported == "" {
		return m.Tokenizer
	}
	return m.Tokenizer.TakingLiterals()
}

// needTokenizer returns a *UsageError if the run has no tokenizer. what names the action that needs one.
func (m *Model) needTokenizer(what string) error {
	if m.Tokenizer == nil {
		return usage("%s %s: the run was imported without a tokenizer: import it again with --tokenizer FILE, or use ids", what, m.Dir)
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
	over := LMConfig{LanguageConfig: lm.Off()} // values of keys that older runs lack
	if err := drawsBy(path, set); err != nil {
		return plan{}, err
	}
	c, err := config.ComposeWith(over, path, set, func(c *LMConfig, _ func(string) bool) error {
		return validate(c.ValidateWith(ae.AutoencoderConfig), sameSpecials(*c, ae.AutoencoderConfig))
	})
	if err != nil {
		return plan{}, err
	}
	return c.plan(ae.AutoencoderConfig), nil
}

// drawsBy returns a *UsageError for assignments to keys that are not sampling keys of the head that the configuration at path
// names.
func drawsBy(path string, set []string) error {
	c, err := config.Peek[head.Config](path)
	kind, known := head.Lookup(c.ModelType)
	if err != nil || !known {
		return nil // reading the whole file reports it
	}
	for _, s := range set {
		switch key, _, _ := strings.Cut(s, "="); {
		case len(kind.SamplingKeys) == 0:
			return usage("--set %s: the %s head has no keys that can be set: leave it out", s, kind.Name)
		case !slices.Contains(kind.SamplingKeys, strings.TrimSpace(key)):
			return usage("--set %s: the %s head has no such key, only %s: leave it out", s, kind.Name, strings.Join(kind.SamplingKeys, ", "))
		}
	}
	return nil
}

// VocabSize returns the size of the model's vocabulary. It may be larger than the tokenizer's.
func (m *Model) VocabSize() int { return m.Network.Vocabulary().Size }

// Objective returns the objective that training optimizes. A block size that does not fit the model is a *config.Error.
func (m *Model) Objective() (*train.Objective, error) { return m.Network.Objective(m.TrainConfig) }

// Config returns the resolved configuration as in config.json, but with absolute paths of the text: an *AEConfig, *LMConfig or
// *ARConfig.
func (m *Model) Config() any { return m.configFile }
