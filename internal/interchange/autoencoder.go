package interchange

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// autoencoder describes an autoencoder that is the model in a directory.
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
		HiddenAct:        spec.HiddenAct, // readReference accepts no other value
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

// autoencoder describes the autoencoder of a language model. If its tensors are not among the model's, it adds them.
func (m *model) autoencoder(ctx context.Context, d *describer, over lm.Config, asked string) (run.AEConfig, error) {
	inside := false
	for name := range m.tensors {
		inside = inside || strings.HasPrefix(name, lm.AEPrefix)
	}
	beside, err := findAutoencoder(d.dir, asked, d.reference.AEPath)
	if err != nil {
		return run.AEConfig{}, err
	}
	if beside == "" && !inside {
		path := "nothing"
		if d.reference.AEPath != nil {
			path = *d.reference.AEPath
		}
		return run.AEConfig{}, fmt.Errorf("its autoencoder is neither inside (no tensors %s*) nor where ae_path says (%s): give its directory as --ae DIR", lm.AEPrefix, path)
	}
	if beside == "" {
		return m.insideOnly(d, over)
	}
	ref, err := readReference(beside)
	if err != nil {
		return run.AEConfig{}, fmt.Errorf("its autoencoder: %w", err)
	}
	from := "inside"
	if !inside {
		from = "in " + beside
		if err := m.read(beside, lm.AEPrefix); err != nil {
			return run.AEConfig{}, fmt.Errorf("its autoencoder: %w", err)
		}
	}
	a := &describer{dir: beside, reference: ref, tensors: m.tensors, tokenizer: m.tokenizer, imported: d.imported, notes: ref.notes}
	c, err := a.autoencoder()
	if err != nil {
		return c, fmt.Errorf("its autoencoder: %w", err)
	}
	for _, note := range a.notes {
		d.note("its autoencoder: %s", note)
	}
	d.note("the autoencoder: weights %s, configuration in %s", from, beside)
	return c, nil
}

// insideOnly describes an autoencoder that has only tensors inside the language model, and no configuration.
func (m *model) insideOnly(d *describer, over lm.Config) (run.AEConfig, error) {
	c, err := deduced(m.tensors, over)
	if err != nil {
		return run.AEConfig{}, err
	}
	d.note("the autoencoder: weights inside, sizes from their shapes, rms_norm_eps %g from docs/spec.md, section 2 (--ae DIR names one with a configuration)", c.RMSNormEps)
	return run.AEConfig{Common: d.common(run.AE, c.PatchSize, blockSize, c.BOSTokenID), AutoencoderConfig: c}, nil
}

// findAutoencoder returns the directory of a language model's autoencoder: the one that was asked for, or one that ae_path may
// mean here. (ae_path is a path on the machine that trained the model.) It returns "" if there is none.
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

// deduced returns the configuration of an autoencoder inside a language model, from the shapes of its tensors. All else has the
// defaults of docs/spec.md, section 2.
func deduced(have map[string]source, over lm.Config) (autoencoder.Config, error) {
	c := autoencoder.Default()
	c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID = over.VocabSize, over.BOSTokenID, over.EOSTokenID, over.PadTokenID
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
