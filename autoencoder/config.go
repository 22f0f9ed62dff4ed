package autoencoder

import (
	"github.com/calm-go/calm/config"
)

// Config holds the keys of the reference's config.json.
type Config struct {
	PatchSize        int     `json:"patch_size"`         // tokens of a patch, K, 1 to config.MaxPatch
	LatentSize       int     `json:"latent_size"`        // dimensions of a latent vector, Z, 1 to config.MaxWidth
	HiddenSize       int     `json:"hidden_size"`        // D, 1 to config.MaxWidth
	IntermediateSize int     `json:"intermediate_size"`  // F, 1 to config.MaxWidth
	NumEncoderLayers int     `json:"num_encoder_layers"` // 0 or more; half of them on tokens, half on the patch
	NumDecoderLayers int     `json:"num_decoder_layers"` // 0 or more; half of them on the patch, half on tokens
	VocabSize        int     `json:"vocab_size"`         // tokens of the vocabulary, V, 2 to config.MaxTokens
	AEDropout        float64 `json:"ae_dropout"`         // dropout rate of ids and of latent dimensions, in [0, 1)
	KLClamp          float64 `json:"kl_clamp"`           // minimum KL of a dimension in the loss, in nats, 0 or more
	KLWeight         float64 `json:"kl_weight"`          // factor of the KL term in the loss, 0 or more
	RMSNormEps       float64 `json:"rms_norm_eps"`       // added to the mean square in RMSNorm, above 0 to 1
	InitializerRange float64 `json:"initializer_range"`  // standard deviation of the initial weights, above 0
	HiddenAct        string  `json:"hidden_act"`         // activation function of the MLPs: silu
	MLPBias          bool    `json:"mlp_bias"`           // whether the MLPs have biases
	BOSTokenID       int     `json:"bos_token_id"`       // id of the token that begins a document, in [0, V)
	EOSTokenID       int     `json:"eos_token_id"`       // id of the token that ends a document, in [0, V)
	PadTokenID       int     `json:"pad_token_id"`       // id of padding, in [0, V), an ordinary label

	// TokenDropout and LatentDropout, calm's own keys, set the two rates apart, in [0, 1). nil takes AEDropout.
	TokenDropout  *float64 `json:"token_dropout,omitzero"`
	LatentDropout *float64 `json:"latent_dropout,omitzero"`
}

// dropout returns the rates of ids and of latent dimensions.
func (c Config) dropout() (token, latent float64) {
	token, latent = c.AEDropout, c.AEDropout
	if c.TokenDropout != nil {
		token = *c.TokenDropout
	}
	if c.LatentDropout != nil {
		latent = *c.LatentDropout
	}
	return token, latent
}

// Default is the published autoencoder: K = 4, 75.8M parameters, over Llama 3's vocabulary and one padding token.
func Default() Config {
	return Config{
		PatchSize: 4, LatentSize: 128, HiddenSize: 512, IntermediateSize: 1280,
		NumEncoderLayers: 2, NumDecoderLayers: 2, VocabSize: 128257,
		AEDropout: .15, KLClamp: .5, KLWeight: 1e-3, RMSNormEps: 1e-6, InitializerRange: .02,
		HiddenAct:  "silu",
		BOSTokenID: 128000, EOSTokenID: 128001, PadTokenID: 128256,
	}
}

// Presets returns the named configurations. The presets with Llama 3's vocabulary have its token ids. The others have
// those of calm's byte tokenizer (256 BOS, 257 EOS, 258 PAD), or the last three ids of a trained tokenizer.
func Presets() map[string]Config {
	return map[string]Config{
		"autoencoder": Default(),
		"ae-official": Default(),
		"ae-bytes":    small(259, 128, 320, 64),
		"ae-proto":    small(4096, 256, 640, 64),
		"quickstart":  small(259, 128, 320, 32),
	}
}

func small(vocab, hidden, intermediate, latent int) Config {
	c := Default()
	c.VocabSize, c.HiddenSize, c.IntermediateSize, c.LatentSize = vocab, hidden, intermediate, latent
	c.BOSTokenID, c.EOSTokenID, c.PadTokenID = vocab-3, vocab-2, vocab-1
	return c
}

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	config.Within(&p, "patch_size", c.PatchSize, 1, config.MaxPatch)
	config.Within(&p, "latent_size", c.LatentSize, 1, config.MaxWidth)
	config.Within(&p, "hidden_size", c.HiddenSize, 1, config.MaxWidth)
	config.Within(&p, "intermediate_size", c.IntermediateSize, 1, config.MaxWidth)
	config.Within(&p, "num_encoder_layers", c.NumEncoderLayers, 0, config.MaxLayers)
	config.Within(&p, "num_decoder_layers", c.NumDecoderLayers, 0, config.MaxLayers)
	config.Within(&p, "vocab_size", c.VocabSize, 2, config.MaxTokens)
	dropout := func(key string, rate *float64) {
		if rate != nil {
			p.Check(*rate >= 0 && *rate < 1, key, *rate, "want 0 or more and less than 1")
		}
	}
	dropout("ae_dropout", &c.AEDropout)
	dropout("token_dropout", c.TokenDropout)
	dropout("latent_dropout", c.LatentDropout)
	config.Within(&p, "kl_clamp", c.KLClamp, 0, config.MaxWeight)
	config.Within(&p, "kl_weight", c.KLWeight, 0, config.MaxWeight)
	config.Positive(&p, "rms_norm_eps", c.RMSNormEps, 1)
	config.Positive(&p, "initializer_range", c.InitializerRange, config.MaxWeight)
	config.OneOf(&p, "hidden_act", c.HiddenAct, "silu")
	config.Token(&p, "bos_token_id", c.BOSTokenID, c.VocabSize)
	config.Token(&p, "eos_token_id", c.EOSTokenID, c.VocabSize)
	config.Token(&p, "pad_token_id", c.PadTokenID, c.VocabSize)
	return p.Err()
}
