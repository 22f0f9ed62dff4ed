// Package tokenizer turns text into token ids and back.
//
// There is one type, [Tokenizer]: byte-level byte-pair encoding. Raw bytes
// ([Bytes]) are its case without merges, [TrainBPE] learns merges from a corpus,
// [LoadLlama3] reads Meta's tokenizer.model and [Load] a Hugging Face
// tokenizer.json, which is also what [Tokenizer.Save] writes.
//
// Encoding has two steps. A scanner written by hand cuts the text into words
// where the tokenizer's regular expression would match (Llama 3's, GPT-2's, or
// no cutting at all); then the bytes of each word are merged pair by pair, the
// pair of lowest rank first and the leftmost of equals.
//
// Any sequence of bytes can be encoded and comes back byte for byte. A byte
// that is no part of valid UTF-8 is cut like U+FFFD, the replacement character:
// as neither letter, digit nor space.
package tokenizer
