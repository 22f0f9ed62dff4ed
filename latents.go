package calm

import (
	"context"
	"fmt"
	"slices"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/plural"
)

// Encode turns text into latent vectors [patches, latent]: the means of the autoencoder's posterior (docs/spec.md, section
// 2). The last patch is filled up with padding tokens. The error is ErrKind for the token-level baseline, which has no
// autoencoder, and ErrNoTokenizer for a run without a tokenizer.
func (m *Model) Encode(text string) ([][]float32, error) {
	if _, err := m.textAutoencoder(); err != nil {
		return nil, err
	}
	return m.EncodeIDs(m.run.TextTokenizer().Encode(text))
}

// EncodeIDs is Encode for token ids. It needs no tokenizer. An id that the model does not have is an *InputError.
func (m *Model) EncodeIDs(ids []int32) ([][]float32, error) {
	ae, err := m.autoencoder()
	if err != nil {
		return nil, err
	}
	k, z := ae.Config.PatchSize, ae.Config.LatentSize
	for i, id := range ids {
		if id < 0 || int(id) >= ae.Config.VocabSize {
			return nil, &InputError{Err: fmt.Errorf("encode: token %d is %d: the model has 0 to %d", i, id, ae.Config.VocabSize-1)}
		}
	}
	for ids = slices.Clip(ids); len(ids)%k != 0; {
		ids = append(ids, int32(ae.Config.PadTokenID))
	}
	var flat []float32
	err = m.code(ae, func(c *autoencoder.Coder) error {
		flat, err = c.Encode(make([]float32, 0, len(ids)/k*z), ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	var latents [][]float32
	for ; len(flat) > 0; flat = flat[z:] {
		latents = append(latents, flat[:z:z])
	}
	return latents, nil
}

// Decode turns latent vectors [patches, latent] into text: each vector becomes the most probable tokens of its patch. A
// vector of another size than the model's latent_size is an error. Otherwise the errors are those of Encode.
func (m *Model) Decode(latents [][]float32) (string, error) {
	if _, err := m.textAutoencoder(); err != nil {
		return "", err
	}
	ids, err := m.DecodeIDs(latents)
	if err != nil {
		return "", err
	}
	return string(m.run.Tokenizer.AppendDecode(nil, ids)), nil
}

// DecodeIDs is Decode to token ids: [patches, latent] give [patches * K] ids, padding included. It needs no tokenizer.
func (m *Model) DecodeIDs(latents [][]float32) ([]int32, error) {
	ae, err := m.autoencoder()
	if err != nil {
		return nil, err
	}
	var flat []float32
	for i, z := range latents {
		if len(z) != ae.Config.LatentSize {
			return nil, fmt.Errorf("decode: latent vector %d has %s, want latent_size = %d", i, plural.Count(len(z), "number"), ae.Config.LatentSize)
		}
		flat = append(flat, z...)
	}
	var ids []int32
	err = m.code(ae, func(c *autoencoder.Coder) error {
		ids, err = c.Decode(make([]int32, 0, len(latents)*ae.Config.PatchSize), flat)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// code waits for its turn and calls do with a coder of the autoencoder.
func (m *Model) code(ae *autoencoder.Model, do func(*autoencoder.Coder) error) error {
	if err := m.enter(context.Background()); err != nil {
		return err
	}
	defer m.leave()
	if m.coder == nil {
		m.coder = ae.NewCoder(m.eng)
	}
	return do(m.coder)
}

// autoencoder returns the autoencoder of the run: its model, or the one inside a language model. It returns an error if the
// run has none.
func (m *Model) autoencoder() (*autoencoder.Model, error) {
	ae := m.run.Autoencoder()
	if ae == nil {
		return nil, fmt.Errorf("latent vectors of %s: %w: the token-level baseline has none", m.run.Dir, ErrKind)
	}
	return ae, nil
}

// textAutoencoder is autoencoder for text: it returns an error if the run has no tokenizer.
func (m *Model) textAutoencoder() (*autoencoder.Model, error) {
	ae, err := m.autoencoder()
	if err == nil && m.run.Tokenizer == nil {
		err = ErrNoTokenizer
	}
	return ae, err
}
