package tokenizer

// Vocabulary is what a model needs to know of its tokenizer. The model can be used with a tokenizer that has fewer tokens.
type Vocabulary struct {
	Size          int   // number of ids, V: rows of the model's embedding table
	BOS, EOS, PAD int32 // ids, in [0, Size): begin of a document, end of a document, padding
}
