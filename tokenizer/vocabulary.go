package tokenizer

// Vocabulary is what a model knows of its tokens: how many rows its tables have, and the ids that have a role. A
// tokenizer with fewer tokens goes with it too.
type Vocabulary struct {
	Size          int
	BOS, EOS, PAD int32 // in [0, Size)
}
