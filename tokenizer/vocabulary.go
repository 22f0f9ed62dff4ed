package tokenizer

// Vocabulary is what a model needs to know of its tokenizer.
type Vocabulary struct {
	// Size is the size of the model's vocabulary in tokens, V, 2 to 2^24: the number of rows of its embedding table. Ids are in
	// [0, Size). A tokenizer fits the model if its VocabSize is Size or less.
	Size          int
	BOS, EOS, PAD int32 // ids in [0, Size): begin of a document, end of a document, padding
}
