package autoencoder

import (
	"strings"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Use describes what turning one patch into its posterior takes, and a latent vector into the patch's likeliest tokens.
// There is no context.
func (m *Model) Use(int) []flops.Part {
	encoder, decoder := nn.NewGraph(), nn.NewGraph()
	m.Encode(encoder, encoder.Ints("ids", 1, m.Config.PatchSize))
	m.Tokens(decoder, decoder.Floats("latents", 1, m.Config.LatentSize))
	return []flops.Part{{Name: "encoder", Graph: encoder, Runs: 1}, {Name: "decoder", Graph: decoder, Runs: 1}}
}

// Part names the part that a parameter belongs to: embeddings, encoder or decoder.
func (m *Model) Part(parameter string) string {
	switch {
	case strings.HasPrefix(parameter, "encoder.embed_tokens."):
		return "embeddings"
	case strings.HasPrefix(parameter, "encoder."):
		return "encoder"
	}
	return "decoder"
}

// AE returns the model: latent vectors are made by it.
func (m *Model) AE() *Model { return m }
