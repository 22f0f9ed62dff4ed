package tokenizer

// Bytes returns the tokenizer of raw bytes: a byte's id is its value, BOS is 256,
// EOS 257 and PAD 258 (docs/spec.md, section 1).
func Bytes() *Tokenizer {
	t, err := build(spec{tokens: singleBytes(), added: threeSpecials(256), stages: []stage{{}}, own: true})
	if err != nil {
		panic(err) // impossible: every byte has a token
	}
	return t
}

// singleBytes returns the tokens 0..255, one for each byte.
func singleBytes() [][]byte {
	tokens := make([][]byte, 256)
	for b := range tokens {
		tokens[b] = []byte{byte(b)}
	}
	return tokens
}

// threeSpecials returns BOS, EOS and PAD with ids from first on.
func threeSpecials(first int32) []addedToken {
	return []addedToken{
		{content: LiteralBOS, id: first, special: true},
		{content: LiteralEOS, id: first + 1, special: true},
		{content: LiteralPAD, id: first + 2, special: true},
	}
}
