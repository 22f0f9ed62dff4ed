package tokenizer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"
)

const (
	llama3Ranks    = 128000
	llama3Specials = 256
	maxFile        = 256 << 20 // greatest file that is read
)

// LoadLlama3 reads Llama 3's tokenizer.model: 128,000 tokens in tiktoken's
// format, a line "base64 rank" each. To them come the 256 special tokens of
// Llama 3 and the reference's [PAD], so VocabSize is 128257, BOS 128000,
// EOS 128001 and PAD 128256 (SPEC section 1).
func LoadLlama3(path string) (*Tokenizer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := parseLlama3(data, llama3Ranks)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s is no tokenizer.model of Llama 3: %w", path, err)
	}
	return t, nil
}

// readFile reads a file no greater than maxFile.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("tokenizer: %s has more than %d MB: no tokenizer is that large", path, maxFile>>20)
	}
	return data, nil
}

func parseLlama3(data []byte, ranks int) (*Tokenizer, error) {
	tokens, err := parseTiktoken(data)
	if err != nil {
		return nil, err
	}
	if len(tokens) != ranks {
		return nil, fmt.Errorf("it has %d ranks, not %d", len(tokens), ranks)
	}
	whole := make(map[string]int32, len(tokens))
	for id, b := range tokens {
		if first, twice := whole[string(b)]; twice {
			return nil, fmt.Errorf("line %d: the same bytes %q as in line %d", id+1, b, first+1)
		}
		whole[string(b)] = int32(id)
	}
	added := make([]addedToken, 0, llama3Specials+1)
	for i, literal := range llama3Literals() {
		added = append(added, addedToken{literal, int32(ranks + i), true})
	}
	return build(spec{
		tokens: tokens, merges: mergesOf(tokens, whole), added: added,
		split: splitLlama3, whole: whole, template: true,
	})
}

// llama3Literals returns the special tokens of Llama 3 in the order of their ids,
// and [PAD].
func llama3Literals() []string {
	reserved := func(i int) string { return "<|reserved_special_token_" + strconv.Itoa(i) + "|>" }
	l := []string{
		LiteralBOS, LiteralEOS, reserved(0), reserved(1), reserved(2), reserved(3),
		"<|start_header_id|>", "<|end_header_id|>", reserved(4), "<|eot_id|>",
	}
	for i := 5; len(l) < llama3Specials; i++ {
		l = append(l, reserved(i))
	}
	return append(l, LiteralPAD)
}

// parseTiktoken reads lines "base64 rank" with ranks 0, 1, 2 and so on.
func parseTiktoken(data []byte) ([][]byte, error) {
	var tokens [][]byte
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		code, rank, found := bytes.Cut(line, []byte(" "))
		if !found {
			return nil, fmt.Errorf(`line %d: want "base64 rank", found %q`, len(tokens)+1, clip(line))
		}
		token, err := base64.StdEncoding.AppendDecode(nil, code)
		if err != nil || len(token) == 0 {
			return nil, fmt.Errorf("line %d: %q is no token in base64", len(tokens)+1, clip(code))
		}
		if n, err := strconv.Atoi(string(rank)); err != nil || n != len(tokens) {
			return nil, fmt.Errorf("line %d: rank %q, want %d", len(tokens)+1, clip(rank), len(tokens))
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// clip shortens what a message quotes.
func clip(b []byte) []byte { return b[:min(len(b), 60)] }

// mergesOf finds the merges behind a list of tokens in the order of their ranks.
//
// tiktoken joins any two neighbours whose bytes together are a token. Yet only
// one pair ever becomes a given token: where two neighbours x, y cover token t,
// no merge has crossed their outer borders, so what happened between these is
// what happens when t is encoded alone, and that ends with one pair (or, for a
// token that only whole words become, without one).
func mergesOf(tokens [][]byte, ids map[string]int32) []merge {
	merges := make([]merge, 0, len(tokens))
	var ends []int
	for id, token := range tokens {
		if len(token) < 2 {
			continue
		}
		var ok bool
		if ends, ok = reduceToPair(ends[:0], token, ids); ok {
			merges = append(merges, merge{ids[string(token[:ends[0]])], ids[string(token[ends[0]:])], int32(id)})
		}
	}
	return merges
}

// reduceToPair encodes token as tiktoken does until two parts are left, which is
// before the last merge, and returns their ends. It reports false where more
// parts stay.
func reduceToPair(ends []int, token []byte, ids map[string]int32) ([]int, bool) {
	for i := range token {
		ends = append(ends, i+1)
	}
	for len(ends) > 2 {
		best, rank, begin := -1, int32(0), 0
		for i := range len(ends) - 1 {
			if id, ok := ids[string(token[begin:ends[i+1]])]; ok && (best < 0 || id < rank) {
				best, rank = i, id
			}
			begin = ends[i]
		}
		if best < 0 {
			return ends, false
		}
		ends = append(ends[:best], ends[best+1:]...)
	}
	return ends, true
}
