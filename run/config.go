// Package run makes and opens run directories: which configuration they have, which model that describes, and how it
// is trained and measured. It is where packages that know nothing of each other meet; the commands and package calm are
// thin over it.
package run

import (
	"fmt"
	"maps"
	"slices"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Common is what the configuration of every run has besides its model's.
type Common struct {
	Kind Kind `json:"kind"`
	// Data holds absolute paths of the text, in config.json relative to the run where it lies near; none for the embedded
	// book, or text from memory.
	Data []string `json:"data"`
	// Field holds the text in JSON lines and Parquet; "" is corpus.DefaultField, in files older than this key.
	Field string `json:"field"`
	// FromMemory says that a program gave the text (corpus.Source.Memory), which is kept nowhere.
	FromMemory bool  `json:"from_memory"`
	Tail       []int `json:"tail"` // the end of a document, to stand in front of prompts (docs/spec.md, section 5)
	// Imported says where the model was imported from (package interchange). Such a run has weights and no training
	// state, and perhaps no tokenizer.
	Imported string `json:"imported"`
	TrainConfig
}

// Names for embedding: two structs called Config cannot stand in one.
type (
	TrainConfig       = train.Config
	AutoencoderConfig = autoencoder.Config
	LanguageConfig    = lm.Config
	BaselineConfig    = ar.Config
)

// AEConfig is config.json of an autoencoder's run.
type AEConfig struct {
	Common
	AutoencoderConfig
}

// LMConfig is config.json of a language model's run.
type LMConfig struct {
	Common
	LanguageConfig
}

// ARConfig is config.json of a baseline's run.
type ARConfig struct {
	Common
	BaselineConfig
}

// Validate reports everything that is wrong, as a *config.Error.
func (c AEConfig) Validate() error {
	return validate(c.TrainConfig.Validate(), c.AutoencoderConfig.Validate(), c.WholePatches(c.PatchSize, 1))
}

// Validate reports everything that is wrong, as a *config.Error.
func (c LMConfig) Validate() error {
	return validate(c.TrainConfig.Validate(), c.LanguageConfig.Validate(), c.WholePatches(c.PatchSize, 2))
}

// ValidateWith reports everything that is wrong with the configuration together with its autoencoder's.
func (c LMConfig) ValidateWith(ae autoencoder.Config) error {
	var patches error
	if c.PatchSize == ae.PatchSize { // else that is what is wrong
		patches = c.WholePatches(c.PatchSize, 2)
	}
	return validate(c.TrainConfig.Validate(), c.LanguageConfig.ValidateWith(ae), patches)
}

// Validate reports everything that is wrong, as a *config.Error.
func (c ARConfig) Validate() error {
	return validate(c.TrainConfig.Validate(), c.BaselineConfig.Validate(), c.WholePatches(1, 2))
}

func validate(errs ...error) error {
	var p config.Problems
	for _, err := range errs {
		p.Join(err)
	}
	return p.Err()
}

// DefaultPreset is what trains without --preset.
const DefaultPreset = "quickstart"

// recipes are the training settings that go with presets, over those of all presets of the kind (""), over train.Default.
var recipes = map[Kind]map[string]func(*train.Config){
	AE: {
		"quickstart": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.LRSchedulerType = 1e-3, 20, 800, train.WarmupStableDecay
			c.BatchSize, c.BlockSize, c.EvalSteps, c.EvalBlocks, c.SaveSteps = 4, 512, 100, 16, 200
		},
		"ae-bytes": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = 1e-3, 50, 2000, 8, 512
		},
		"ae-proto": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = 1e-3, 50, 5000, 16, 512
		},
	},
	LM: {
		"":                func(c *train.Config) { c.WarmupSteps = 2000 }, // the paper's
		"quickstart":      quickstartLM,
		"quickstart-flow": quickstartLM,
		"lm-bytes": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = 1e-3, 50, 5000, 4, 128
		},
		"lm-proto": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = 1e-3, 100, 5000, 8, 512
		},
	},
	AR: {
		"quickstart": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.LRSchedulerType = 1e-3, 50, 1100, train.WarmupStableDecay
			c.BatchSize, c.BlockSize, c.EvalSteps, c.EvalBlocks, c.SaveSteps = 8, 256, 200, 32, 200
		},
		"ar-bytes": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = 1e-3, 50, 2000, 8, 256
		},
		"ar-proto": func(c *train.Config) {
			c.LearningRate, c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = 1e-3, 100, 5000, 8, 512
		},
	},
}

func quickstartLM(c *train.Config) {
	c.LearningRate, c.WarmupSteps, c.MaxSteps, c.LRSchedulerType = 1e-3, 50, 15000, train.WarmupStableDecay
	c.BatchSize, c.BlockSize, c.EvalSteps, c.EvalBlocks, c.SaveSteps = 4, 128, 1000, 64, 1000
}

func common(kind Kind, preset string) Common {
	c := Common{Kind: kind, Data: []string{}, Field: corpus.DefaultField, Tail: []int{}, TrainConfig: train.Default()}
	for _, name := range []string{"", preset} {
		if adapt := recipes[kind][name]; adapt != nil {
			adapt(&c.TrainConfig)
		}
	}
	return c
}

// AEPreset returns the named configuration over a tokenizer's vocabulary.
func AEPreset(name string, tok *tokenizer.Tokenizer) (AEConfig, error) {
	m, err := pick(autoencoder.Presets(), name)
	m.VocabSize, m.BOSTokenID, m.EOSTokenID, m.PadTokenID = tok.VocabSize(), int(tok.BOS()), int(tok.EOS()), int(tok.PAD())
	return AEConfig{common(AE, name), m}, err
}

// LMPreset returns the named configuration over an autoencoder, from which it takes vocabulary, K and Z.
func LMPreset(name string, ae autoencoder.Config) (LMConfig, error) {
	m, err := pick(lm.Presets(), name)
	return LMConfig{common(LM, name), m.Over(ae)}, err
}

// ARPreset returns the named configuration over a tokenizer's vocabulary.
func ARPreset(name string, tok *tokenizer.Tokenizer) (ARConfig, error) {
	m, err := pick(ar.Presets(), name)
	m.VocabSize, m.BOSTokenID, m.EOSTokenID = tok.VocabSize(), int(tok.BOS()), int(tok.EOS())
	return ARConfig{common(AR, name), m}, err
}

func pick[T any](presets map[string]T, name string) (T, error) {
	m, ok := presets[name]
	if !ok {
		return m, &UsageError{fmt.Errorf("there is no preset %q: have %v", name, slices.Sorted(maps.Keys(presets)))}
	}
	return m, nil
}

// UsageError is a mistake in what the user asked for, not in what happened: commands end with exit status 2 on it.
type UsageError struct{ Err error }

// Error says what is wrong.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }
