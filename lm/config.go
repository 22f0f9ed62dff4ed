package lm

import (
	"fmt"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
)

// HeadConfig is the head's part of a Config, under a name of its own: two embedded structs cannot have the same name.
type HeadConfig = head.Config

// Config holds the keys of the reference's config.json, and a few of calm's own that are off by default.
type Config struct {
	backbone.Config
	HeadConfig

	PatchSize  int    `json:"patch_size"`   // tokens of a patch, K, as the autoencoder's
	LatentSize int    `json:"latent_size"`  // dimensions of a latent vector, Z, as the autoencoder's
	VocabSize  int    `json:"vocab_size"`   // tokens of the vocabulary, V, as the autoencoder's
	BOSTokenID int    `json:"bos_token_id"` // id of the token that begins a document, in [0, V)
	EOSTokenID int    `json:"eos_token_id"` // id of the token that ends a document, in [0, V)
	PadTokenID int    `json:"pad_token_id"` // id of padding, in [0, V): its embedding is zero and stays zero
	AEPath     string `json:"ae_path"`      // where training found the autoencoder; the model holds a copy of it

	// Input is what the backbone reads of a patch: Tokens, Latents or Both; see Model.Patches.
	Input string `json:"input"`

	// TokenLossWeight is the weight of an auxiliary loss, 0 or more, used in training only: K linear heads on the backbone's
	// hidden state predict the tokens of the next patch. Samples never pass through them. 0: off. Not in the paper.
	TokenLossWeight float64 `json:"token_loss_weight"`
	// TokenLossUntil is the fraction of a run's steps after which that loss is switched off, in (0, 1]; 1: never.
	TokenLossUntil float64 `json:"token_loss_until"`
	// MSEAnchor is the weight, 0 or more, of an auxiliary loss for heads whose loss scores samples (energy): the mean squared error of
	// the samples to the mean of the next patch's posterior, averaged over samples and dimensions. 0: off. Not in the
	// paper.
	MSEAnchor float64 `json:"mse_anchor"`
	// HeadLearningRate is the learning-rate multiplier of the generative head's parameters, above 0.
	HeadLearningRate float64 `json:"head_learning_rate"`
	// InitEmbeddings says what the token embeddings start from: FromNormal or FromAutoencoder. With Input = Latents
	// there are none.
	InitEmbeddings string `json:"init_embeddings"`
}

// Values of Config.Input.
const (
	Tokens  = "tokens"  // a small network over the embeddings of the patch's tokens; the paper found it best
	Latents = "latents" // a linear map of the patch's latent vector
	Both    = "both"    // the sum of the two
)

// Values of Config.InitEmbeddings.
const (
	FromNormal      = "normal"      // drawn from N(0, initializer_range)
	FromAutoencoder = "autoencoder" // a copy of the autoencoder's table
)

// Off is a configuration that sets only calm's own keys, each to the value that turns it off. Runs that were made
// before a key existed get its value from here.
func Off() Config {
	return Config{Input: Tokens, TokenLossUntil: 1, HeadLearningRate: 1, InitEmbeddings: FromNormal}
}

// Default is CALM-M, the smallest published model: 371.7M trainable parameters.
func Default() Config { return official(16, 1024, 2752, 16) }

func official(layers, hidden, intermediate, heads int) Config {
	ae := autoencoder.Default()
	c := Off()
	c.Config, c.HeadConfig = backbone.Default(layers, hidden, intermediate, heads), head.Default()
	c.PatchSize, c.LatentSize, c.VocabSize = ae.PatchSize, ae.LatentSize, ae.VocabSize
	c.BOSTokenID, c.EOSTokenID, c.PadTokenID = ae.BOSTokenID, ae.EOSTokenID, ae.PadTokenID
	return c
}

// Presets returns the named configurations. The numbers of heads of L and XL are not published: 16 and 20 are calm's
// choice. The small ones are for the autoencoders ae-bytes, ae-proto and quickstart. quickstart-flow learned most in
// the four minutes that the quickstart takes (docs/learning.md).
func Presets() map[string]Config {
	quickstart := small("quickstart", 3, 128, 320, 4, 1)
	quickstart.Options = head.EnergyOptions{NumMLPLayers: 1, Beta: 1, NoiseSize: 64, TargetSamples: 32}
	quickstart.TokenLossWeight = 4
	quickstart.InitEmbeddings = FromAutoencoder
	flow := quickstart
	flow.HeadConfig = head.Config{ModelType: head.FlowType, NumSamples: 2,
		Options: head.FlowOptions{NumMLPLayers: 1, SamplingSteps: 2, Solver: "midpoint", NoiseScale: 1}}
	flow.HeadLearningRate = 2.5
	return map[string]Config{
		"calm-s":     official(12, 768, 2048, 12),
		"calm-m":     official(16, 1024, 2752, 16),
		"calm-l":     official(16, 1536, 4096, 16),
		"calm-xl":    official(16, 2560, 6880, 20),
		"lm-bytes":   small("ae-bytes", 3, 128, 320, 4, 1),
		"lm-proto":   small("ae-proto", 4, 256, 704, 4, 2),
		"quickstart": quickstart, "quickstart-flow": flow,
	}
}

func small(ae string, layers, hidden, intermediate, heads, blocks int) Config {
	c := official(layers, hidden, intermediate, heads)
	a := autoencoder.Presets()[ae]
	energy := c.Options.(head.EnergyOptions)
	energy.NumMLPLayers = blocks
	c.Options = energy
	c.PatchSize, c.LatentSize, c.VocabSize = a.PatchSize, a.LatentSize, a.VocabSize
	c.BOSTokenID, c.EOSTokenID, c.PadTokenID = a.BOSTokenID, a.EOSTokenID, a.PadTokenID
	return c
}

// Inference returns the configuration of the same model without what only training needs.
func (c Config) Inference() Config {
	off := Off()
	c.TokenLossWeight, c.TokenLossUntil = off.TokenLossWeight, off.TokenLossUntil
	c.MSEAnchor, c.HeadLearningRate = off.MSEAnchor, off.HeadLearningRate
	return c
}

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	p.Join(c.Config.Validate())
	p.Join(c.HeadConfig.Validate())
	config.Within(&p, "patch_size", c.PatchSize, 1, config.MaxPatch)
	config.Within(&p, "latent_size", c.LatentSize, 1, config.MaxWidth)
	config.Within(&p, "vocab_size", c.VocabSize, 2, config.MaxTokens)
	config.Token(&p, "bos_token_id", c.BOSTokenID, c.VocabSize)
	config.Token(&p, "eos_token_id", c.EOSTokenID, c.VocabSize)
	config.Token(&p, "pad_token_id", c.PadTokenID, c.VocabSize)
	config.OneOf(&p, "input", c.Input, Tokens, Latents, Both)
	config.Within(&p, "token_loss_weight", c.TokenLossWeight, 0, config.MaxWeight)
	p.Check(c.TokenLossUntil > 0 && c.TokenLossUntil <= 1, "token_loss_until", c.TokenLossUntil, "want more than 0 and at most 1, the part of the steps with the token loss")
	config.Within(&p, "mse_anchor", c.MSEAnchor, 0, config.MaxWeight)
	if kind, ok := head.Lookup(c.ModelType); ok && !kind.ScoresSamples {
		p.Check(!(c.MSEAnchor > 0), "mse_anchor", c.MSEAnchor, fmt.Sprintf("want 0: it is for heads whose loss scores samples, and model_type is %q", c.ModelType))
	}
	config.Positive(&p, "head_learning_rate", c.HeadLearningRate, config.MaxWeight)
	config.OneOf(&p, "init_embeddings", c.InitEmbeddings, FromNormal, FromAutoencoder)
	return p.Err()
}

// ValidateWith reports everything that is wrong with the configuration together with its autoencoder's.
func (c Config) ValidateWith(ae autoencoder.Config) error {
	var p config.Problems
	p.Join(c.Validate())
	config.Same(&p, "patch_size", c.PatchSize, ae.PatchSize, "the autoencoder")
	config.Same(&p, "latent_size", c.LatentSize, ae.LatentSize, "the autoencoder")
	config.Same(&p, "vocab_size", c.VocabSize, ae.VocabSize, "the autoencoder")
	if c.InitEmbeddings == FromAutoencoder && c.Input != Latents {
		p.Check(c.HiddenSize == ae.HiddenSize, "init_embeddings", c.InitEmbeddings, fmt.Sprintf(
			"want %q: the autoencoder's embeddings are %d wide, those of hidden_size = %d do not fit", FromNormal, ae.HiddenSize, c.HiddenSize))
	}
	return p.Err()
}
