// Package tokenizer turns text into token ids and back.
//
// [Tokenizer] implements byte-pair encoding (BPE), byte-level or with the characters
// of SentencePiece's vocabularies. There are four ways to get one: [Bytes] returns
// the tokenizer of raw bytes, which has no merges. [TrainBPE] learns merges from a
// corpus. [LoadLlama3] reads Meta's tokenizer.model. [Load] reads a Hugging Face
// tokenizer.json, the format that [Tokenizer.Save] writes.
//
// Encoding has these steps. Literals of added tokens are found. The text between
// them is normalized, if the tokenizer does so. A hand-written scanner cuts it into
// words, exactly where the tokenizer's regular expression would match. Then the
// bytes (or characters) of each word are merged pair by pair: the pair with the
// lowest rank first, and of equal pairs the leftmost.
//
// Any sequence of bytes can be encoded. It decodes to the same bytes, unless the
// tokenizer's file asks for changes: see [Tokenizer.Losses]. When text is cut into
// words, a byte outside valid UTF-8 counts as U+FFFD, the replacement character,
// which is neither letter, digit nor space.
package tokenizer
