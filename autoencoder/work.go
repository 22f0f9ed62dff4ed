package autoencoder

import (
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// RoundTrip describes what turning one patch into its posterior takes, and a latent vector into the patch's likeliest
// tokens.
func (m *Model) RoundTrip() []flops.Part {
	encoder, decoder := nn.NewGraph(), nn.NewGraph()
	m.Encode(encoder, encoder.Ints("ids", 1, m.Config.PatchSize))
	m.Tokens(decoder, decoder.Floats("latents", 1, m.Config.LatentSize))
	return []flops.Part{{Name: "encoder", Graph: encoder, Runs: 1}, {Name: "decoder", Graph: decoder, Runs: 1}}
}
