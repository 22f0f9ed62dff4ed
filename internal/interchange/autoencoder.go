package interchange

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	beside, err := findAutoencoder(d.dir, asked, d.reference.AEPath)
	if err != nil {
		return run.AEConfig{}, err
	}
	before, err := m.untrainedTable(ctx, d, asked)
	if err != nil {
		return run.AEConfig{}, err
	}
	inside := false
	for name := range m.tensors {
		inside = inside || strings.HasPrefix(name, lm.AEPrefix)
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
	if after, ok := m.tensors[lm.AEPrefix+aeTable]; before != nil && ok {
		if same, err := equal(ctx, *before, after); err != nil {
			return run.AEConfig{}, err
		} else if !same {
			d.note("%s is not that of --ae: was the model trained over this autoencoder?", before.Name)
		}
	}
	a := &describer{dir: beside, reference: ref, tensors: m.tensors, tokenizer: m.tokenizer, imported: d.imported}
	c, err := a.autoencoder()
	if err != nil {
		return c, fmt.Errorf("its autoencoder: %w", err)
	}
	for _, note := range ref.notes {
		d.note("its autoencoder: %s", note)
	}
	d.note("the autoencoder: weights %s, configuration in %s", from, beside)
	return c, nil
}

// untrainedTable removes a table that the decoder inside a language model should share with its encoder and does not. The reference
// makes such a model over an autoencoder that was saved as safetensors: that file has the table by the encoder's name alone, and
// from_pretrained then gives the decoder a random one. The model's transformer and head do not use the decoder, so they are sound.
// If an autoencoder was asked for, all of the one inside is removed, and that one takes its place. Then the result is the encoder's
// table inside.
func (m *model) untrainedTable(ctx context.Context, d *describer, asked string) (*source, error) {
	table, hasTable := m.tensors[lm.AEPrefix+aeTable]
	head, hasHead := m.tensors[lm.AEPrefix+aeHead]
	if !hasTable || !hasHead || !slices.Equal(table.Shape, head.Shape) {
		return nil, nil // account reports shapes
	}
	same, err := equal(ctx, table, head)
	if err != nil {
		return nil, err
	}
	if same { // noted, so that they are not read again to be compared
		table.storage, head.storage = table.Name, table.Name
		m.tensors[table.Name], m.tensors[head.Name] = table, head
		return nil, nil
	}
	if asked == "" {
		delete(m.tensors, head.Name)
		d.note("%s is not %s, as it should be: the reference gave the decoder an untrained table, with which it evaluated this model; "+
			"here the decoder has the encoder's table (--ae DIR takes another autoencoder)", head.Name, table.Name)
		return nil, nil
	}
	maps.DeleteFunc(m.tensors, func(name string, _ source) bool { return strings.HasPrefix(name, lm.AEPrefix) })
	d.note("%s is not %s, as it should be: the reference gave the decoder an untrained table; all weights of the autoencoder are from --ae", head.Name, table.Name)
	return &table, nil
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
