package run

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Model is the model of a run with all that belongs to it. Exactly one of AE, LM and AR is set.
type Model struct {
	*Common
	Dir       string
	Tokenizer *tokenizer.Tokenizer // nil in a run that was imported without one; text is read by TextTokenizer
	Params    *nn.Params
	DType     DType // of the weights in memory; "" where they were not opened

	AE *autoencoder.Model
	LM *lm.Model
	AR *ar.Model

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
	if len(set) > 0 && kind.Kind != LM {
		return nil, usage("--set %s: %s is a run of kind %s, and only language models (lm) have such keys", set[0], dir, kind.Kind)
	}
	m := &Model{Dir: dir, Params: nn.NewParams()}
	switch kind.Kind {
	case AE:
		err = m.describeAE(path)
	case LM:
		err = m.describeLM(path, training, set)
	case AR:
		err = m.describeAR(path)
	default:
		err = usage("%s: kind is %q, want ae, lm or ar: is it a run of calm?", path, kind.Kind)
	}
	if err != nil {
		return nil, err
	}
	m.Tokenizer, err = tokenizer.Load(filepath.Join(dir, checkpoint.TokenizerFile))
	if err != nil && !(m.Imported != "" && errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("open the run %s: %w", dir, err)
	}
	if m.Tokenizer != nil { // of a run over an imported autoencoder too, whose tokens may have unusual names
		bos, eos, pad := m.specials()
		m.Tokenizer = m.Tokenizer.WithRoles(int32(bos), int32(eos), int32(pad))
	}
	return m, nil
}

// specials returns the ids of BOS, EOS and padding that the model knows. The baseline never pads, so any will do.
func (m *Model) specials() (bos, eos, pad int) {
	switch {
	case m.AE != nil:
		return m.AE.Config.BOSTokenID, m.AE.Config.EOSTokenID, m.AE.Config.PadTokenID
	case m.LM != nil:
		return m.LM.Config.BOSTokenID, m.LM.Config.EOSTokenID, m.LM.Config.PadTokenID
	}
	return m.AR.Config.BOSTokenID, m.AR.Config.EOSTokenID, m.AR.Config.EOSTokenID
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

func (m *Model) describeAE(path string) error {
	c, err := config.Compose(AEConfig{}, path, nil)
	if err != nil {
		return err
	}
	m.useAE(c)
	return nil
}

func (m *Model) useAE(c AEConfig) {
	m.Common, m.configFile = &c.Common, &c
	m.AE = autoencoder.New(c.AutoencoderConfig, m.Params, "")
}

func (m *Model) describeLM(path string, training bool, set []string) error {
	ae, err := config.Compose(AEConfig{}, filepath.Join(filepath.Dir(path), checkpoint.AutoencoderIn, checkpoint.ConfigFile), nil)
	if err != nil {
		return err
	}
	over := LMConfig{LanguageConfig: lm.Off()} // of keys which runs lack that are older than these
	c, err := config.ComposeWith(over, path, set, func(c *LMConfig, _ func(string) bool) error { return c.ValidateWith(ae.AutoencoderConfig) })
	if err != nil {
		return err
	}
	if err := drawsBy(c, set); err != nil {
		return err
	}
	m.useLM(c, ae.AutoencoderConfig, training)
	return nil
}

// drawsBy refuses assignments of how another head draws.
func drawsBy(c LMConfig, set []string) error {
	keys := c.SamplingKeys()
	for _, s := range set {
		switch key, _, _ := strings.Cut(s, "="); {
		case len(keys) == 0:
			return usage("--set %s: the %s head draws in one step: leave it out", s, c.ModelType)
		case !slices.Contains(keys, strings.TrimSpace(key)):
			return usage("--set %s: the %s head has no such key, only %s: leave it out", s, c.ModelType, strings.Join(keys, ", "))
		}
	}
	return nil
}

func (m *Model) useLM(c LMConfig, ae autoencoder.Config, training bool) {
	m.Common, m.configFile = &c.Common, &c
	model := c.LanguageConfig
	if !training {
		model = model.Inference()
	}
	m.LM = lm.New(model, ae, m.Params)
}

func (m *Model) describeAR(path string) error {
	c, err := config.Compose(ARConfig{}, path, nil)
	if err != nil {
		return err
	}
	m.useAR(c)
	return nil
}

func (m *Model) useAR(c ARConfig) {
	m.Common, m.configFile = &c.Common, &c
	m.AR = ar.New(c.BaselineConfig, m.Params)
}

// VocabSize returns the number of tokens that the model has, which may be more than the tokenizer's.
func (m *Model) VocabSize() int {
	switch {
	case m.AE != nil:
		return m.AE.Config.VocabSize
	case m.LM != nil:
		return m.LM.Config.VocabSize
	}
	return m.AR.Config.VocabSize
}

// Objective returns what training optimizes.
func (m *Model) Objective() (*train.Objective, error) {
	switch {
	case m.AE != nil:
		return m.AE.Objective(m.TrainConfig)
	case m.LM != nil:
		return m.LM.Objective(m.TrainConfig)
	}
	return m.AR.Objective(m.TrainConfig)
}

// Config returns the resolved configuration as it stands in config.json.
func (m *Model) Config() any { return m.configFile }
