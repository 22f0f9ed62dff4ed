package lm

import (
	"fmt"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
)

// HeadConfig is the head's part of a Config, under a name of its own since two embedded structs cannot share one.
type HeadConfig = head.Config

// Config holds the keys of the reference's config.json, and a few of calm's own that are off by default.
type Config struct {
	backbone.Config
	HeadConfig

	PatchSize  int    `json:"patch_size"`   // K, as the autoencoder's
	LatentSize int    `json:"latent_size"`  // Z, as the autoencoder's
	VocabSize  int    `json:"vocab_size"`   // V, as the autoencoder's
	BOSTokenID int    `json:"bos_token_id"` //
	EOSTokenID int    `json:"eos_token_id"` //
	PadTokenID int    `json:"pad_token_id"` // its embedding is zero and stays zero
	AEPath     string `json:"ae_path"`      // where the trainer found the autoencoder, which is inside the model

	// TokenLossWeight is the weight of an auxiliary loss, used in training only: K linear heads on the backbone's
	// hidden state predict the tokens of the next patch. Samples never pass through them. Not in the paper.
	TokenLossWeight float64 `json:"token_loss_weight"`
	// InitEmbeddings says what the token embeddings start from: "normal", or "autoencoder" for a copy of its table.
	InitEmbeddings string `json:"init_embeddings"`
}

// Values of Config.InitEmbeddings.
const (
	FromNormal      = "normal"
	FromAutoencoder = "autoencoder"
)

// Default is CALM-M, the smallest published model: 371.7M trainable parameters.
func Default() Config { return official(16, 1024, 2752, 16) }

func official(layers, hidden, intermediate, heads int) Config {
	ae := autoencoder.Default()
	return Config{
		Config:     backbone.Default(layers, hidden, intermediate, heads),
		HeadConfig: head.Default(),
		PatchSize:  ae.PatchSize, LatentSize: ae.LatentSize, VocabSize: ae.VocabSize,
		BOSTokenID: ae.BOSTokenID, EOSTokenID: ae.EOSTokenID, PadTokenID: ae.PadTokenID,
		InitEmbeddings: FromNormal,
	}
}

// Presets returns the named configurations. The numbers of heads of L and XL are not published: 16 and 20 are calm's
// choice. The small ones go with the autoencoders ae-bytes, ae-proto and quickstart.
func Presets() map[string]Config {
	quickstart := small("quickstart", 3, 128, 320, 4, 1)
	quickstart.TargetSamples = 32
	quickstart.TokenLossWeight = 4
	quickstart.InitEmbeddings = FromAutoencoder
	return map[string]Config{
		"calm-s":     official(12, 768, 2048, 12),
		"calm-m":     official(16, 1024, 2752, 16),
		"calm-l":     official(16, 1536, 4096, 16),
		"calm-xl":    official(16, 2560, 6880, 20),
		"lm-bytes":   small("ae-bytes", 3, 128, 320, 4, 1),
		"lm-proto":   small("ae-proto", 4, 256, 704, 4, 2),
		"quickstart": quickstart,
	}
}

func small(ae string, layers, hidden, intermediate, heads, blocks int) Config {
	c := official(layers, hidden, intermediate, heads)
	a := autoencoder.Presets()[ae]
	c.NumMLPLayers = blocks
	c.PatchSize, c.LatentSize, c.VocabSize = a.PatchSize, a.LatentSize, a.VocabSize
	c.BOSTokenID, c.EOSTokenID, c.PadTokenID = a.BOSTokenID, a.EOSTokenID, a.PadTokenID
	return c
}

// Inference returns the configuration of the same model without what only training needs.
func (c Config) Inference() Config {
	c.TokenLossWeight = 0
	return c
}

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	p.Join(c.Config.Validate())
	p.Join(c.HeadConfig.Validate())
	config.Within(&p, "patch_size", c.PatchSize, 1, 64)
	config.AtLeast(&p, "latent_size", c.LatentSize, 1)
	config.AtLeast(&p, "vocab_size", c.VocabSize, 2)
	config.Token(&p, "bos_token_id", c.BOSTokenID, c.VocabSize)
	config.Token(&p, "eos_token_id", c.EOSTokenID, c.VocabSize)
	config.Token(&p, "pad_token_id", c.PadTokenID, c.VocabSize)
	config.AtLeast(&p, "token_loss_weight", c.TokenLossWeight, 0)
	config.OneOf(&p, "init_embeddings", c.InitEmbeddings, FromNormal, FromAutoencoder)
	return p.Err()
}

// ValidateWith reports everything that is wrong with the configuration together with its autoencoder's.
func (c Config) ValidateWith(ae autoencoder.Config) error {
	var p config.Problems
	p.Join(c.Validate())
	same := func(key string, got, want int) {
		p.Check(got == want, key, got, fmt.Sprintf("want %d, as the autoencoder has", want))
	}
	same("patch_size", c.PatchSize, ae.PatchSize)
	same("latent_size", c.LatentSize, ae.LatentSize)
	same("vocab_size", c.VocabSize, ae.VocabSize)
	if c.InitEmbeddings == FromAutoencoder {
		p.Check(c.HiddenSize == ae.HiddenSize, "init_embeddings", c.InitEmbeddings, fmt.Sprintf(
			"want %q: the autoencoder's embeddings are %d wide, those of hidden_size = %d do not fit", FromNormal, ae.HiddenSize, c.HiddenSize))
	}
	return p.Err()
}
