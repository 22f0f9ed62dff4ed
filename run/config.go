// Package run makes and opens run directories. It resolves their configuration, builds the model that the configuration
// describes, and trains and measures it. It connects the packages of models, text, training and evaluation, which do not
// import each other. The commands and package calm are thin layers over it.
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

// Common is the part of a run's configuration that does not depend on the kind of model.
type Common struct {
	Kind Kind `json:"kind"` // the kind of model
	// Data lists the paths of the text. They are absolute here. In config.json the path of a text near the run is relative
	// to the run. Data is empty for the embedded book and for text from memory.
	Data []string `json:"data"`
	// Field is the field of JSON lines and Parquet that contains the text. "" means corpus.DefaultField; files written
	// before this key existed have it.
	Field string `json:"field"`
	// FromMemory reports that a program gave the text in memory (corpus.Source.Memory). The run does not save it.
	FromMemory bool `json:"from_memory"`
	// Tail is the end of a document of the training text, patch_size ids. Generation puts ids of it before a prompt to fill
	// its first patch (docs/spec.md, section 5).
	Tail []int `json:"tail"`
	// Imported names the source that the model was imported from, "" where it was not. An imported run has weights but no
	// training state, and may lack a tokenizer.
	Imported string `json:"imported"`
	TrainConfig
}

// Names for embedding: a struct cannot embed two structs that are both called Config.
type (
	TrainConfig       = train.Config
	AutoencoderConfig = autoencoder.Config
	LanguageConfig    = lm.Config
	BaselineConfig    = ar.Config
)

// AEConfig is the configuration of an autoencoder's run, as in its config.json.
type AEConfig struct {
	Common
	AutoencoderConfig
}

// LMConfig is the configuration of a language model's run, as in its config.json.
type LMConfig struct {
	Common
	LanguageConfig
}

// ARConfig is the configuration of a token-level baseline's run, as in its config.json.
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

// ValidateWith reports everything that is wrong, by itself and together with the configuration of its autoencoder, as a
// *config.Error.
func (c LMConfig) ValidateWith(ae autoencoder.Config) error {
	var patches error
	if c.PatchSize == ae.PatchSize { // otherwise another problem is reported
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

// DefaultPreset is the preset of commands without --preset, for every kind.
const DefaultPreset = "quickstart"

// recipes are the training settings of each preset. They change train.Default, after the settings for all presets of the kind
// (listed under "").
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

// AEPreset returns the configuration of a preset for the tokenizer's vocabulary. An unknown name is a *UsageError.
func AEPreset(name string, tok *tokenizer.Tokenizer) (AEConfig, error) {
	m, err := pick(autoencoder.Presets(), name)
	m.VocabSize, m.BOSTokenID, m.EOSTokenID, m.PadTokenID = tok.VocabSize(), int(tok.BOS()), int(tok.EOS()), int(tok.PAD())
	return AEConfig{common(AE, name), m}, err
}

// LMPreset returns the configuration of a preset for an autoencoder, whose vocabulary, patch size and latent size it takes.
// An unknown name is a *UsageError.
func LMPreset(name string, ae autoencoder.Config) (LMConfig, error) {
	m, err := pick(lm.Presets(), name)
	return LMConfig{common(LM, name), m.Over(ae)}, err
}

// ARPreset returns the configuration of a preset for the tokenizer's vocabulary. An unknown name is a *UsageError.
func ARPreset(name string, tok *tokenizer.Tokenizer) (ARConfig, error) {
	m, err := pick(ar.Presets(), name)
	m.VocabSize, m.BOSTokenID, m.EOSTokenID = tok.VocabSize(), int(tok.BOS()), int(tok.EOS())
	return ARConfig{common(AR, name), m}, err
}

func pick[T any](presets map[string]T, name string) (T, error) {
	m, ok := presets[name]
	if !ok {
		return m, &UsageError{fmt.Errorf("no preset %q: want one of %v", name, slices.Sorted(maps.Keys(presets)))}
	}
	return m, nil
}

// UsageError is a mistake in the user's input. Commands end with exit status 2 on it.
type UsageError struct {
	Err error // what is wrong with it
}

// Error says what is wrong.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }
