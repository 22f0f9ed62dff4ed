package autoencoder

import (
	"strings"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Use describes the graphs that one patch takes, for counting FLOPs: the encoder, and the decoder with the choice of
// the likeliest tokens. There is no context, so its length is ignored.
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

// AE returns the autoencoder that makes the latent vectors: the model itself.
func (m *Model) AE() *Model { return m }
