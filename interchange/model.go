package interchange

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Block sizes that the published models were trained on, in tokens (SPEC section 1), and the vocabulary of Llama 3's
// tokenizer with the reference's [PAD].
const (
	lmBlock, blockSize = 8192, 2048

	llama3Vocab, llama3BOS, llama3EOS, llama3Newline = 128257, 128000, 128001, 198
)

// describer makes a run's configuration of what a checkpoint says, and notes what it had to take from elsewhere.
type describer struct {
	dir       string
	reference *reference
	tensors   map[string]source
	tokenizer *tokenizer.Tokenizer // nil without
	imported  string               // where the model comes from, for config.json

	params  *nn.Params
	missing []string // keys that cannot be done without
	notes   []string
}

func (d *describer) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// need returns the value of a key that there is no telling without.
func need[T any](d *describer, v *T, key string) (value T) {
	if v == nil {
		d.missing = append(d.missing, key)
		return value
	}
	return *v
}

// either returns the value of a key, or what SPEC says, which it notes.
func either[T any](d *describer, v *T, key string, other T) T {
	if v != nil {
		return *v
	}
	d.note("config.json does not say %s: taking %v", key, other)
	return other
}

// err lists the keys that were needed and missing.
func (d *describer) err() error {
	if len(d.missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s does not say %s, and nothing else does", filepath.Join(d.dir, checkpoint.ConfigFile), strings.Join(d.missing, ", "))
}

// layers refuses a number of layers that the tensors cannot be those of, before anything is made for each.
func (d *describer) layers(counts ...int) error {
	if most := slices.Max(counts); most > len(d.tensors) {
		return fmt.Errorf("%s: %d layers, and there are %d tensors in all", filepath.Join(d.dir, checkpoint.ConfigFile), most, len(d.tensors))
	}
	return nil
}

// common is the part of a configuration that every run has.
func (d *describer) common(kind run.Kind, patch, block int, bos int) run.Common {
	c := run.Common{Kind: kind, Data: []string{}, Tail: d.tail(kind, patch, bos), Imported: d.imported, TrainConfig: train.Default()}
	c.BlockSize = block / patch * patch
	d.note("texts are measured in blocks of %d tokens (block_size, which config.json does not say), as SPEC section 1 has it", c.BlockSize)
	return c
}

// tail stands in front of prompts (SPEC section 5): newlines, as at the end of a document. Without a tokenizer that
// knows them it is BOS, as of empty documents.
func (d *describer) tail(kind run.Kind, patch, bos int) []int {
	ids := []int{}
	if kind != run.LM {
		return ids
	}
	with := []int32{int32(bos)}
	switch {
	case d.tokenizer != nil:
		with = d.tokenizer.Encode("\n")
		d.note("newlines fill up the patch in front of prompts (tail, SPEC section 5)")
	case d.known():
		with = []int32{llama3Newline}
		d.note("newlines of Llama 3 (%d) fill up the patch in front of prompts (tail, SPEC section 5)", llama3Newline)
	default:
		d.note("there is no tokenizer to know newlines by: BOS (%d) stands in their place in front of prompts", bos)
	}
	for len(ids) < patch {
		for _, id := range with {
			ids = append(ids, int(id))
		}
	}
	return ids[len(ids)-patch:]
}

// known says that the vocabulary's size is that of Llama 3's tokenizer with [PAD].
func (d *describer) known() bool {
	return d.reference.VocabSize != nil && *d.reference.VocabSize == llama3Vocab
}

// special returns the ids of BOS and EOS: the tokenizer's, which are the ones in the training text; where there is
// none, Llama 3's for a vocabulary of that size; else the configuration's.
func (d *describer) special() (bos, eos int) {
	from, ids := "the tokenizer", [2]int32{tokenizer.None, tokenizer.None}
	if d.tokenizer != nil {
		ids = [2]int32{d.tokenizer.BOS(), d.tokenizer.EOS()}
	} else if d.known() {
		from, ids = "Llama 3's tokenizer, which has a vocabulary of this size", [2]int32{llama3BOS, llama3EOS}
	}
	pick := func(key string, id int32, said *int) int {
		if id == tokenizer.None {
			return need(d, said, key)
		}
		if said == nil || *said != int(id) {
			d.note("%s is %d, as in %s (config.json says %s)", key, id, from, show(said))
		}
		return int(id)
	}
	return pick("bos_token_id", ids[0], d.reference.BOSTokenID), pick("eos_token_id", ids[1], d.reference.EOSTokenID)
}

func show(v *int) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}

// pad returns the id of padding, which the reference adds as the last.
func (d *describer) pad(vocab int) int {
	if d.reference.PadTokenID == nil && d.tokenizer != nil && d.tokenizer.PAD() >= 0 {
		return either(d, nil, "pad_token_id", int(d.tokenizer.PAD()))
	}
	return either(d, d.reference.PadTokenID, "pad_token_id", vocab-1)
}

// autoencoder describes an autoencoder in a directory of its own.
func (d *describer) autoencoder() (run.AEConfig, error) {
	r, spec := d.reference, autoencoder.Default()
	vocab := need(d, r.VocabSize, "vocab_size")
	bos, eos := d.special()
	c := autoencoder.Config{
		PatchSize:        need(d, r.PatchSize, "patch_size"),
		LatentSize:       need(d, r.LatentSize, "latent_size"),
		HiddenSize:       need(d, r.HiddenSize, "hidden_size"),
		IntermediateSize: need(d, r.IntermediateSize, "intermediate_size"),
		NumEncoderLayers: need(d, r.NumEncoderLayers, "num_encoder_layers"),
		NumDecoderLayers: need(d, r.NumDecoderLayers, "num_decoder_layers"),
		VocabSize:        vocab,
		AEDropout:        either(d, r.AEDropout, "ae_dropout", spec.AEDropout),
		KLClamp:          either(d, r.KLClamp, "kl_clamp", spec.KLClamp),
		KLWeight:         either(d, r.KLWeight, "kl_weight", spec.KLWeight),
		RMSNormEps:       either(d, r.RMSNormEps, "rms_norm_eps", spec.RMSNormEps),
		InitializerRange: either(d, r.InitializerRange, "initializer_range", spec.InitializerRange),
		HiddenAct:        spec.HiddenAct, // the only value that readReference lets through
		MLPBias:          either(d, r.MLPBias, "mlp_bias", false),
		BOSTokenID:       bos, EOSTokenID: eos, PadTokenID: d.pad(vocab),
	}
	if err := d.err(); err != nil {
		return run.AEConfig{}, err
	}
	if err := c.Validate(); err != nil {
		return run.AEConfig{}, err
	}
	out := run.AEConfig{Common: d.common(run.AE, c.PatchSize, blockSize, bos), AutoencoderConfig: c}
	if err := d.layers(c.NumEncoderLayers, c.NumDecoderLayers); err != nil {
		return out, err
	}
	return out, out.Validate()
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

// supported refuses what a transformer of the reference could have and calm's has not.
func (d *describer) supported(c backbone.Config) error {
	r, path := d.reference, filepath.Join(d.dir, checkpoint.ConfigFile)
	switch {
	case r.MLPBias != nil && *r.MLPBias:
		return fmt.Errorf("%s: mlp_bias = true is not supported for a transformer", path)
	case r.TieWordEmbeddings != nil && *r.TieWordEmbeddings:
		return fmt.Errorf("%s: tie_word_embeddings = true is not supported: the reference's models have a table of their own for each end", path)
	case r.HeadDim != nil && *r.HeadDim*c.NumAttentionHeads != c.HiddenSize:
		return fmt.Errorf("%s: head_dim = %d is not supported: want hidden_size / num_attention_heads", path, *r.HeadDim)
	}
	return d.layers(c.NumHiddenLayers)
}

// languageModel describes a language model over an autoencoder and declares its parameters.
func (d *describer) languageModel(headName string, ae autoencoder.Config) (run.LMConfig, error) {
	r, spec := d.reference, head.Default()
	bos, eos := d.special()
	c := lm.Default()
	c.Config = d.backbone()
	c.HeadConfig = spec
	c.ModelType = headName
	c.NumMLPLayers = either(d, r.NumMLPLayers, "num_mlp_layers", spec.NumMLPLayers)
	c.NumSamples = either(d, r.NumSamples, "num_samples", spec.NumSamples)
	c.Beta = either(d, r.Beta, "beta", spec.Beta)
	c.NoiseSize = either(d, r.NoiseSize, "noise_size", spec.NoiseSize)
	c.PatchSize = need(d, r.PatchSize, "patch_size")
	c.LatentSize = need(d, r.LatentSize, "latent_size")
	c.VocabSize = need(d, r.VocabSize, "vocab_size")
	c.BOSTokenID, c.EOSTokenID, c.PadTokenID = bos, eos, d.pad(c.VocabSize)
	if err := d.err(); err != nil {
		return run.LMConfig{}, err
	}
	if err := d.supported(c.Config); err != nil {
		return run.LMConfig{}, err
	}
	if err := c.ValidateWith(ae); err != nil {
		return run.LMConfig{}, err
	}
	block := min(lmBlock/c.PatchSize, c.MaxPositionEmbeddings) * c.PatchSize
	out := run.LMConfig{LanguageConfig: c, Common: d.common(run.LM, c.PatchSize, block, bos)}
	out.WarmupSteps = 2000
	if err := d.layers(c.NumMLPLayers); err != nil {
		return out, err
	}
	d.note("the row of the padding token, %d, in transformer.embed_tokens stays as it is in training (SPEC section 3)", c.PadTokenID)
	return out, out.Validate()
}

// supportedHead refuses heads that package lm cannot build, which head.Config knows.
func supportedHead(name string) error {
	c := head.Default()
	c.ModelType = name
	if err := c.Validate(); err != nil {
		return fmt.Errorf("the model has a head of kind %q, which calm cannot run yet: %w", name, err)
	}
	return nil
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

// findAutoencoder returns the directory of a language model's autoencoder: the one that was asked for, or where
// ae_path, a path on the machine that trained, leads from here; "" if nowhere.
func findAutoencoder(dir, asked string, aePath *string) (string, error) {
	if asked != "" {
		if _, err := os.Stat(filepath.Join(asked, checkpoint.ConfigFile)); err != nil {
			return "", fmt.Errorf("--ae: %w", err)
		}
		return asked, nil
	}
	candidates := []string{filepath.Join(dir, checkpoint.AutoencoderIn)}
	if aePath != nil && filepath.IsAbs(*aePath) {
		candidates = append([]string{*aePath}, candidates...)
	} else if aePath != nil && *aePath != "" {
		candidates = append([]string{filepath.Join(dir, *aePath), filepath.Join(dir, "..", *aePath), *aePath}, candidates...)
	}
	for _, c := range candidates {
		if _, err := os.Stat(filepath.Join(c, checkpoint.ConfigFile)); err == nil {
			return c, nil
		}
	}
	return "", nil
}

// deduced is the configuration of an autoencoder inside a language model, read off the shapes of its tensors. What they
// do not show is taken from SPEC.
func deduced(have map[string]source, vocab, bos, eos, pad int) (autoencoder.Config, error) {
	c := autoencoder.Default()
	c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID = vocab, bos, eos, pad
	shape := func(name string, at int) int {
		s, ok := have[lm.AEPrefix+name]
		if !ok || len(s.Shape) <= at {
			return 0
		}
		return s.Shape[at]
	}
	count := func(name string) (n int) {
		for {
			if _, ok := have[fmt.Sprintf("%s%s.%d.layernorm.weight", lm.AEPrefix, name, n)]; !ok {
				return n
			}
			n++
		}
	}
	c.HiddenSize = shape("encoder.norm.weight", 0)
	c.LatentSize = shape("decoder.latent_to_hidden.weight", 1)
	if c.HiddenSize > 0 {
		c.PatchSize = shape("encoder.squeeze_layer.weight", 1) / c.HiddenSize
	}
	c.NumEncoderLayers, c.NumDecoderLayers = count("encoder.encoder_layers"), count("decoder.decoder_layers")
	for _, half := range []string{"encoder.encoder", "decoder.decoder"} {
		if f := shape(half+"_layers.0.mlp.gate_proj.weight", 0); f > 0 {
			c.IntermediateSize = f
		}
		if shape(half+"_layers.0.mlp.gate_proj.bias", 0) > 0 {
			c.MLPBias = true
		}
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("the tensors %s* are not those of an autoencoder: %w", lm.AEPrefix, err)
	}
	return c, nil
}
