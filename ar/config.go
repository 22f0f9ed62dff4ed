package ar

import (
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/config"
)

// Config holds the keys of a Llama config.json.
type Config struct {
	backbone.Config

	VocabSize  int `json:"vocab_size"`   // tokens of the vocabulary, V, 2 to config.MaxTokens
	BOSTokenID int `json:"bos_token_id"` // id of the token that begins a document, in [0, V)
	EOSTokenID int `json:"eos_token_id"` // id of the token that ends a document, in [0, V)
}

// Default is the smallest published baseline: 12 layers of width 768, 282M parameters.
func Default() Config { return official(12, 768, 2048, 16) }

func official(layers, hidden, intermediate, heads int) Config {
	c := Config{Config: backbone.Default(layers, hidden, intermediate, heads), VocabSize: 128257, BOSTokenID: 128000, EOSTokenID: 128001}
	c.MaxPositionEmbeddings = 8192 // tokens, as many as 2048 patches of 4
	return c
}

// Presets returns the named configurations; the small ones are over calm's byte tokenizer or a trained one of 4096.
func Presets() map[string]Config {
	return map[string]Config{
		"ar-s":       Default(),
		"ar-m":       official(16, 1024, 2752, 16),
		"ar-l":       official(16, 1536, 4096, 16),
		"ar-bytes":   small(259, 3, 128, 320, 4),
		"ar-proto":   small(4096, 4, 256, 704, 4),
		"quickstart": small(259, 3, 128, 320, 4),
	}
}

func small(vocab, layers, hidden, intermediate, heads int) Config {
	c := official(layers, hidden, intermediate, heads)
	c.VocabSize, c.BOSTokenID, c.EOSTokenID = vocab, vocab-3, vocab-2
	return c
}

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	p.Join(c.Config.Validate())
	config.Within(&p, "vocab_size", c.VocabSize, 2, config.MaxTokens)
	config.Token(&p, "bos_token_id", c.BOSTokenID, c.VocabSize)
	config.Token(&p, "eos_token_id", c.EOSTokenID, c.VocabSize)
	return p.Err()
}
