package interchange

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Block sizes in tokens that the published models were trained with (docs/spec.md, section 1), and the vocabulary of Llama 3's
// tokenizer with the reference's [PAD].
const (
	lmBlock, blockSize = 8192, 2048

	llama3Vocab, llama3BOS, llama3EOS, llama3Newline = 128257, 128000, 128001, 198
)

// describer makes a run's configuration from a model of the reference. It notes settings that it had to take from elsewhere.
type describer struct {
	dir       string
	reference *reference
	tensors   map[string]source
	tokenizer *tokenizer.Tokenizer // nil: there is none
	imported  string               // the model's source, for the run's config.json

	missing []string // necessary keys that the file lacks
}

// note adds a note to those of the reference's file.
func (d *describer) note(format string, args ...any) { d.reference.note(format, args...) }

// need returns the value of a necessary key. If the file lacks it, it is added to missing.
func need[T any](d *describer, v *T, key string) (value T) {
	if v == nil {
		d.missing = append(d.missing, key)
		return value
	}
	return *v
}

// either returns the value of a key. If the file lacks it, it returns the default other and notes that.
func either[T any](d *describer, v *T, key string, other T) T {
	if v != nil {
		return *v
	}
	d.note("config.json does not say %s: taking %v", key, other)
	return other
}

// err returns an error that lists the missing keys, if there are any.
func (d *describer) err() error {
	if len(d.missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s lacks %s, which cannot be found elsewhere", filepath.Join(d.dir, checkpoint.ConfigFile), strings.Join(d.missing, ", "))
}

// layers returns an error if there are more layers than tensors. It is called before any layer is made.
func (d *describer) layers(counts ...int) error {
	if n := slices.Max(counts); n > len(d.tensors) {
		return fmt.Errorf("%s: %d layers, but there are only %d tensors", filepath.Join(d.dir, checkpoint.ConfigFile), n, len(d.tensors))
	}
	return nil
}

// common returns the part of a configuration that all kinds of runs have.
func (d *describer) common(kind run.Kind, patch, block int, bos int) run.Common {
	c := run.Common{Kind: kind, Data: []string{}, Tail: d.tail(kind, patch, bos), Imported: d.imported, TrainConfig: train.Default()}
	c.BlockSize = block / patch * patch
	return c
}

// backbone describes the transformer of a language model or a baseline.
func (d *describer) backbone() backbone.Config {
	r, spec := d.reference, backbone.Default(1, 1, 1, 1)
	heads := need(d, r.NumAttentionHeads, "num_attention_heads")
	c := backbone.Config{
		HiddenSize:            need(d, r.HiddenSize, "hidden_size"),
		IntermediateSize:      need(d, r.IntermediateSize, "intermediate_size"),
		NumHiddenLayers:       need(d, r.NumHiddenLayers, "num_hidden_layers"),
		NumAttentionHeads:     heads,
		NumKeyValueHeads:      either(d, r.NumKeyValueHeads, "num_key_value_heads", heads),
		MaxPositionEmbeddings: either(d, r.MaxPositionEmbeddings, "max_position_embeddings", spec.MaxPositionEmbeddings),
		RMSNormEps:            either(d, r.RMSNormEps, "rms_norm_eps", spec.RMSNormEps),
		RopeTheta:             either(d, r.RopeTheta, "rope_theta", spec.RopeTheta),
		InitializerRange:      either(d, r.InitializerRange, "initializer_range", spec.InitializerRange),
	}
	return c
}

// supported returns an error for settings of the reference's transformer that calm does not have.
func (d *describer) supported(c backbone.Config) error {
	r, path := d.reference, filepath.Join(d.dir, checkpoint.ConfigFile)
	switch {
	case r.MLPBias != nil && *r.MLPBias:
		return fmt.Errorf("%s: mlp_bias = true is not supported for a transformer", path)
	case r.TieWordEmbeddings != nil && *r.TieWordEmbeddings:
		return fmt.Errorf("%s: tie_word_embeddings = true is not supported: the reference's models have separate input and output embeddings", path)
	case r.HeadDim != nil && *r.HeadDim*c.NumAttentionHeads != c.HiddenSize:
		return fmt.Errorf("%s: head_dim = %d is not supported: want hidden_size / num_attention_heads", path, *r.HeadDim)
	}
	return d.layers(c.NumHiddenLayers)
}

// languageModel reads the keys of a language model.
func (d *describer) languageModel(headName string) (lm.Config, error) {
	r, c := d.reference, lm.Default()
	var err error
	if c.HeadConfig, err = d.head(headName); err != nil {
		return c, err
	}
	c.Config = d.backbone()
	c.PatchSize = need(d, r.PatchSize, "patch_size")
	c.LatentSize = need(d, r.LatentSize, "latent_size")
	c.VocabSize = need(d, r.VocabSize, "vocab_size")
	c.BOSTokenID, c.EOSTokenID = d.special()
	c.PadTokenID = d.pad(c.VocabSize)
	if err := d.err(); err != nil {
		return c, err
	}
	return c, d.supported(c.Config)
}

// over makes the configuration of the run of a language model with its autoencoder.
func (d *describer) over(c lm.Config, ae autoencoder.Config) (run.LMConfig, error) {
	if err := c.ValidateWith(ae); err != nil {
		return run.LMConfig{}, err
	}
	out := run.LMConfig{LanguageConfig: c,
		Common: d.common(run.LM, c.PatchSize, min(lmBlock/c.PatchSize, c.MaxPositionEmbeddings)*c.PatchSize, c.BOSTokenID)}
	out.WarmupSteps = 2000
	d.note("training does not change the row of the padding token, %d, in transformer.embed_tokens (docs/spec.md, section 3)", c.PadTokenID)
	return out, out.Validate()
}

// baseline describes a token-level baseline.
func (d *describer) baseline() (run.ARConfig, error) {
	bos, eos := d.special()
	c := ar.Config{Config: d.backbone(), VocabSize: need(d, d.reference.VocabSize, "vocab_size"), BOSTokenID: bos, EOSTokenID: eos}
	if err := d.err(); err != nil {
		return run.ARConfig{}, err
	}
	if err := d.supported(c.Config); err != nil {
		return run.ARConfig{}, err
	}
	if err := c.Validate(); err != nil {
		return run.ARConfig{}, err
	}
	out := run.ARConfig{BaselineConfig: c, Common: d.common(run.AR, 1, min(blockSize, c.MaxPositionEmbeddings), bos)}
	return out, out.Validate()
}
