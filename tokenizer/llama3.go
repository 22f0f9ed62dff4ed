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
	maxFile        = 64 << 20 // largest file that is read, in bytes; Llama 3's have 2 and 9 MB, the largest known 34 MB
)

// LoadLlama3 reads Llama 3's tokenizer.model: 128,000 tokens in tiktoken's
// format, with a line "base64 rank" for each. It adds the 256 special tokens of
// Llama 3 and the reference's [PAD]. So VocabSize is 128257, BOS 128000,
// EOS 128001 and PAD 128256 (docs/spec.md, section 1). Errors name the file and
// the line.
func LoadLlama3(path string) (*Tokenizer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := parseLlama3(data, llama3Ranks)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s is not Llama 3's tokenizer.model: %w", path, err)
	}
	return t, nil
}

// readFile reads a file of at most maxFile bytes.
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
	ids := newTokenTable(len(tokens), func(id int32) []byte { return tokens[id] })
	for id, b := range tokens {
		if first := ids.add(int32(id)); first != None {
			return nil, fmt.Errorf("rank %d: the same bytes %q as rank %d", id, clip(b), first)
		}
	}
	added := make([]addedToken, 0, llama3Specials+1)
	for i, literal := range llama3Literals() {
		added = append(added, addedToken{content: literal, id: int32(ranks + i), special: true})
	}
	return build(spec{
		tokens: tokens, merges: mergesOf(tokens, ids), added: added,
		stages: llama3Stages(), whole: true, own: true,
	})
}

// llama3Literals returns the special tokens of Llama 3 in the order of their ids,
// followed by [PAD].
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
			return nil, fmt.Errorf("line %d: %q is not a token in base64", len(tokens)+1, clip(code))
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

// mergesOf finds the merges that a list of tokens, in the order of their ranks,
// implies.
//
// tiktoken merges any two adjacent parts whose bytes together are a token. Still,
// each token t is made from one pair only. Where adjacent parts x and y make t, no
// merge has crossed the borders of t. So the merges within t were the same as when
// t is encoded alone, and that ends with one pair. (Some tokens are never made by
// merging, only as whole words: encoding them alone does not end with a pair.)
func mergesOf(tokens [][]byte, ids *tokenTable) []merge {
	merges := make([]merge, 0, len(tokens))
	var parts []span
	for id, token := range tokens {
		if len(token) < 2 {
			continue
		}
		parts = reduceToPair(parts[:0], token, ids)
		if len(parts) == 2 {
			merges = append(merges, merge{ids.find(token[:parts[0].end]), ids.find(token[parts[0].end:]), int32(id)})
		}
	}
	return merges
}

// A span is a part of a token being encoded.
type span struct {
	end    int   // where it ends in the token
	merged int32 // id of the token that it makes with the next part, or None
}

// reduceToPair encodes token as tiktoken does, until no two parts can be merged
// or two are left, which is before the last merge.
func reduceToPair(parts []span, token []byte, ids *tokenTable) []span {
	for i := range token {
		parts = append(parts, span{i + 1, None})
	}
	join := func(i int) { // looks up part i with the next one
		begin := 0
		if i > 0 {
			begin = parts[i-1].end
		}
		parts[i].merged = None
		if i+1 < len(parts) {
			parts[i].merged = ids.find(token[begin:parts[i+1].end])
		}
	}
	for i := range parts {
		join(i)
	}
	for len(parts) > 2 {
		best := -1
		for i, p := range parts {
			if p.merged != None && (best < 0 || p.merged < parts[best].merged) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		parts[best].end = parts[best+1].end
		parts = append(parts[:best+1], parts[best+2:]...)
		join(best)
		if best > 0 {
			join(best - 1)
		}
	}
	return parts
}

// llama3Stages returns how Llama 3's tokenizer cuts text.
func llama3Stages() []stage { return []stage{{split: splitLlama3}, {}} }
