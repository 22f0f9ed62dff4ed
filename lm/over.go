package lm

import "github.com/calm-go/calm/autoencoder"

// Over returns the configuration with what a language model takes from the autoencoder it is trained over: vocabulary,
// patch and latent size; see Fit.
func (c Config) Over(ae autoencoder.Config) Config {
	c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID = ae.VocabSize, ae.BOSTokenID, ae.EOSTokenID, ae.PadTokenID
	c.PatchSize, c.LatentSize = ae.PatchSize, ae.LatentSize
	return c.Fit(ae)
}

// Under is the other direction: an autoencoder's configuration with the vocabulary, patch and latent size of a language
// model over it.
func (c Config) Under(ae autoencoder.Config) autoencoder.Config {
	ae.VocabSize, ae.BOSTokenID, ae.EOSTokenID, ae.PadTokenID = c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID
	ae.PatchSize, ae.LatentSize = c.PatchSize, c.LatentSize
	return ae
}

// Fit returns the configuration with embeddings that are drawn, where they would start from the autoencoder's and have
// another width.
func (c Config) Fit(ae autoencoder.Config) Config {
	if c.InitEmbeddings == FromAutoencoder && c.HiddenSize != ae.HiddenSize {
		c.InitEmbeddings = FromNormal
	}
	return c
}
