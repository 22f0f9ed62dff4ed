// Package tokenizer turns text into token ids and back.
//
// [Tokenizer] implements byte-level byte-pair encoding (BPE). There are four ways
// to get one: [Bytes] returns the tokenizer of raw bytes, which has no merges.
// [TrainBPE] learns merges from a corpus. [LoadLlama3] reads Meta's
// tokenizer.model. [Load] reads a Hugging Face tokenizer.json, the format that
// [Tokenizer.Save] writes.
//
// Encoding has two steps. First, a hand-written scanner cuts the text into words,
// exactly where the tokenizer's regular expression would match (that of Llama 3,
// Qwen 2 or GPT-2, or none). Then the bytes of each word are merged pair by pair:
// the pair with the lowest rank first, and of equal pairs the leftmost.
//
// Any sequence of bytes can be encoded, and decodes to the same bytes. When text
// is cut into words, a byte outside valid UTF-8 counts as U+FFFD, the replacement
// character, which is neither letter, digit nor space.
package tokenizer
