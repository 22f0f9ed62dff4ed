package tokenizer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tiktokenFile writes tokens in tiktoken's format.
func tiktokenFile(tokens ...string) []byte {
	var b bytes.Buffer
	for rank, token := range tokens {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(token)), rank)
	}
	return b.Bytes()
}

// tinyTokens returns tokens like those of tiktoken's files: the bytes in an unusual
// order, merges, and at the end tokens that merging never makes.
func tinyTokens() []string {
	var tokens []string
	tok := small()
	for id := range int32(tok.VocabSize()) {
		switch token := string(tok.Token(id)); {
		case id < 256:
			tokens = append(tokens, string([]byte{byte(id*7 + 3)}))
		case !tok.IsSpecial(id):
			tokens = append(tokens, token)
		}
	}
	return append(tokens, " xylophon", "漢字漢字", "qqq", "aaaaa", "\n\n\n\n\n")
}

func tinyLlama3(t testing.TB) *Tokenizer {
	t.Helper()
	tokens := tinyTokens()
	tok, err := parseLlama3(tiktokenFile(tokens...), len(tokens))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// tiktokenMerge follows tiktoken's rule: of all adjacent parts whose bytes together
// are a token, join those with the lowest rank. A word that is a token is not cut.
func tiktokenMerge(ranks map[string]int32, word string) []int32 {
	if id, ok := ranks[word]; ok {
		return []int32{id}
	}
	parts := strings.Split(word, "")
	if len(word) != len(parts) { // Split cuts into characters, the rule into bytes
		parts = nil
		for i := range len(word) {
			parts = append(parts, word[i:i+1])
		}
	}
	for {
		best, at := int32(0), -1
		for i := range len(parts) - 1 {
			if id, ok := ranks[parts[i]+parts[i+1]]; ok && (at < 0 || id < best) {
				best, at = id, i
			}
		}
		if at < 0 {
			break
		}
		parts[at] += parts[at+1]
		parts = append(parts[:at+1], parts[at+2:]...)
	}
	var ids []int32
	for _, p := range parts {
		ids = append(ids, ranks[p])
	}
	return ids
}

// checkRanks compares t with tiktoken's rule on words made of random tokens.
func checkRanks(t *testing.T, tok *Tokenizer) {
	ranks := map[string]int32{}
	var tokens []string
	for id := range tok.BOS() {
		tokens = append(tokens, string(tok.Token(id)))
		ranks[tokens[id]] = id
	}
	rapid.Check(t, func(t *rapid.T) {
		word := strings.Join(rapid.SliceOfN(rapid.SampledFrom(tokens), 1, 6).Draw(t, "tokens"), "")
		m := merger{t: tok}
		if got, want := m.appendWord(nil, []byte(word)), tiktokenMerge(ranks, word); !cmp.Equal(got, want) {
			t.Fatalf("%q = %v, want %v", word, got, want)
		}
	})
}

// The merges that are recovered from the ranks give the same ids as the ranks.
func TestMergesOfRanks(t *testing.T) { checkRanks(t, tinyLlama3(t)) }

func TestGoldenTokenizerMergesOfRanks(t *testing.T) { checkRanks(t, goldenLlama3(t)) }

func TestLlama3Literals(t *testing.T) {
	l := llama3Literals()
	if len(l) != 257 {
		t.Fatalf("%d literals", len(l))
	}
	seen := map[string]bool{}
	for _, literal := range l {
		seen[literal] = true
	}
	if len(seen) != 257 || l[255] != "<|reserved_special_token_250|>" || l[256] != "[PAD]" {
		t.Errorf("%d different ones; 255 is %q, 256 %q", len(seen), l[255], l[256])
	}
}

func TestParseLlama3Errors(t *testing.T) {
	var all []string
	for b := range 256 {
		all = append(all, string([]byte{byte(b)}))
	}
	good := string(tiktokenFile(all...))
	if _, err := parseLlama3([]byte(strings.ReplaceAll(good, "\n", "\r\n")), 256); err != nil {
		t.Errorf("with CRLF: %v", err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"empty":      {"", "has 0 ranks, not 256"},
		"short":      {string(tiktokenFile(all[:200]...)), "has 200 ranks"},
		"text":       {"hello\n", `line 1: want "base64 rank"`},
		"base64":     {"AA== 0\n!!!! 1\n", `line 2: "!!!!" is not a token in base64`},
		"no token":   {" 0\n", `line 1: "" is not a token in base64`},
		"rank":       {"AA== 1\n", `line 1: rank "1", want 0`},
		"rank text":  {"AA== x\n", `line 1: rank "x"`},
		"twice":      {string(tiktokenFile(append(append([]string{}, all[:255]...), "\x07")...)), "rank 255: the same bytes"},
		"no byte":    {string(tiktokenFile(append(append([]string{}, all[:255]...), "ab")...)), "no token for the single byte 0xff"},
		"json":       {`{"model": {}}`, "line 1"},
		"long lines": {strings.Repeat("A", 1<<20), "line 1"},
	} {
		_, err := parseLlama3([]byte(c.file), 256)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestLoadLlama3Errors(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadLlama3(filepath.Join(dir, "none")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("absent file: %v", err)
	}
	path := filepath.Join(dir, "tokenizer.model")
	if err := os.WriteFile(path, tiktokenFile(tinyTokens()...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadLlama3(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "not 128000") {
		t.Errorf("another tokenizer's file: %v", err)
	}
	if _, err := LoadLlama3(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}
