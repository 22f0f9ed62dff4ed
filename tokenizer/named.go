package tokenizer

import "strings"

// Named returns the tokenizer that a name stands for, as commands take it in --tokenizer: "bytes" or "" is [Bytes],
// "llama3:FILE" is read by [LoadLlama3], and other names are paths of a tokenizer.json, read by [Load]. The errors are
// those of reading the file.
func Named(name string) (*Tokenizer, error) {
	if name == "" || name == "bytes" {
		return Bytes(), nil
	}
	if file, ok := strings.CutPrefix(name, "llama3:"); ok {
		return LoadLlama3(file)
	}
	return Load(name)
}
