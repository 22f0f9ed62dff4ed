package lm

import "github.com/calm-go/calm/autoencoder"

// Over returns the configuration with the vocabulary, patch size and latent size of the autoencoder that the language
// model is trained over. See also Fit.
func (c Config) Over(ae autoencoder.Config) Config {
	c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID = ae.VocabSize, ae.BOSTokenID, ae.EOSTokenID, ae.PadTokenID
	c.PatchSize, c.LatentSize = ae.PatchSize, ae.LatentSize
	return c.Fit(ae)
}

// Under is the opposite of Over: it returns an autoencoder's configuration with the vocabulary, patch size and latent
// size of the language model c.
func (c Config) Under(ae autoencoder.Config) autoencoder.Config {
	ae.VocabSize, ae.BOSTokenID, ae.EOSTokenID, ae.PadTokenID = c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID
	ae.PatchSize, ae.LatentSize = c.PatchSize, c.LatentSize
	return ae
}

// Fit returns the configuration with InitEmbeddings = FromNormal if it is FromAutoencoder and the two hidden sizes
// differ: embeddings of another width cannot be copied.
func (c Config) Fit(ae autoencoder.Config) Config {
	if c.InitEmbeddings == FromAutoencoder && c.HiddenSize != ae.HiddenSize {
		c.InitEmbeddings = FromNormal
	}
	return c
}
