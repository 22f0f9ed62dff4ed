package calm

import (
	"context"
	"fmt"

	"github.com/calm-go/calm/autoencoder"
)

// Encode packs text into latent vectors, the means of the autoencoder's posterior: [patches, latent] (paper section 3).
// The text's tokens are filled up with padding to whole patches. The token-level baseline has no autoencoder: ErrKind.
func (m *Model) Encode(text string) ([][]float32, error) {
	ae, err := m.autoencoder()
	if err != nil {
		return nil, err
	}
	k, z := ae.Config.PatchSize, ae.Config.LatentSize
	ids := m.run.TextTokenizer().Encode(text)
	for len(ids)%k != 0 {
		ids = append(ids, m.run.Tokenizer.PAD())
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

// Decode unpacks latent vectors [patches, latent] into text, each vector into the likeliest tokens of its patch. The
// token-level baseline has no autoencoder: ErrKind.
func (m *Model) Decode(latents [][]float32) (string, error) {
	ae, err := m.autoencoder()
	if err != nil {
		return "", err
	}
	var flat []float32
	for i, z := range latents {
		if len(z) != ae.Config.LatentSize {
			return "", fmt.Errorf("decode: latent vector %d has %d numbers, want latent_size = %d", i, len(z), ae.Config.LatentSize)
		}
		flat = append(flat, z...)
	}
	var ids []int32
	err = m.code(ae, func(c *autoencoder.Coder) error {
		ids, err = c.Decode(make([]int32, 0, len(latents)*ae.Config.PatchSize), flat)
		return err
	})
	if err != nil {
		return "", err
	}
	return string(m.run.Tokenizer.AppendDecode(nil, ids)), nil
}

// code uses the autoencoder in the model's turn.
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

// autoencoder returns the autoencoder that the model is or has inside, for text.
func (m *Model) autoencoder() (*autoencoder.Model, error) {
	ae := m.run.Autoencoder()
	if ae == nil {
		return nil, fmt.Errorf("latent vectors of %s: %w: the token-level baseline has none", m.run.Dir, ErrKind)
	}
	if m.run.Tokenizer == nil {
		return nil, ErrNoTokenizer
	}
	return ae, nil
}
