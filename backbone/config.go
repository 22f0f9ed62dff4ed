package backbone

import (
	"fmt"

	"github.com/calm-go/calm/config"
)

// Config holds the keys of a Llama config.json that concern the layers. Models embed it in their own Config. docs/formats.md
// has the ranges.
type Config struct {
	HiddenSize            int     `json:"hidden_size"`             // D, 1 to config.MaxWidth
	IntermediateSize      int     `json:"intermediate_size"`       // F, 1 to config.MaxWidth
	NumHiddenLayers       int     `json:"num_hidden_layers"`       // layers, 1 to config.MaxLayers
	NumAttentionHeads     int     `json:"num_attention_heads"`     // query heads; divides D into heads of even size
	NumKeyValueHeads      int     `json:"num_key_value_heads"`     // key-value heads, a divisor of the query heads; each serves equally many
	MaxPositionEmbeddings int     `json:"max_position_embeddings"` // max positions of a context, 1 to config.MaxTokens
	RMSNormEps            float64 `json:"rms_norm_eps"`            // added to the mean square in RMSNorm, above 0 to 1
	RopeTheta             float64 `json:"rope_theta"`              // theta of the rotary positions, above 0
	InitializerRange      float64 `json:"initializer_range"`       // standard deviation of the initial weights, above 0
}

// Default is a backbone of the given sizes, with as many key-value heads as heads and the reference's other settings.
func Default(layers, hidden, intermediate, heads int) Config {
	return Config{
		HiddenSize: hidden, IntermediateSize: intermediate,
		NumHiddenLayers: layers, NumAttentionHeads: heads, NumKeyValueHeads: heads, MaxPositionEmbeddings: 2048,
		RMSNormEps: 1e-6, RopeTheta: 1e4, InitializerRange: .02,
	}
}

// HeadSize returns the size of an attention head.
func (c Config) HeadSize() int { return c.HiddenSize / c.NumAttentionHeads }

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	config.Within(&p, "hidden_size", c.HiddenSize, 1, config.MaxWidth)
	config.Within(&p, "intermediate_size", c.IntermediateSize, 1, config.MaxWidth)
	config.Within(&p, "num_hidden_layers", c.NumHiddenLayers, 1, config.MaxLayers)
	config.Within(&p, "num_attention_heads", c.NumAttentionHeads, 1, config.MaxWidth)
	config.Within(&p, "num_key_value_heads", c.NumKeyValueHeads, 1, config.MaxWidth)
	config.Within(&p, "max_position_embeddings", c.MaxPositionEmbeddings, 1, config.MaxTokens)
	config.Positive(&p, "rms_norm_eps", c.RMSNormEps, 1)
	config.Positive(&p, "rope_theta", c.RopeTheta, 1e15)
	config.Positive(&p, "initializer_range", c.InitializerRange, config.MaxWeight)
	if h := c.NumAttentionHeads; h >= 1 && c.HiddenSize >= 1 {
		p.Check(c.HiddenSize%(2*h) == 0, "num_attention_heads", h,
			fmt.Sprintf("want a number that divides hidden_size = %d into heads of even size", c.HiddenSize))
	}
	if h, kv := c.NumAttentionHeads, c.NumKeyValueHeads; h >= 1 && kv >= 1 {
		p.Check(h%kv == 0, "num_key_value_heads", kv, fmt.Sprintf("want a divisor of num_attention_heads = %d", h))
	}
	return p.Err()
}
