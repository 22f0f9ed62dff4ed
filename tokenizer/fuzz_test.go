package tokenizer

import (
	"bytes"
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/memtest"
)

// edited replaces cut bytes of file at a place by insert. The readers are fuzzed by
// such edits of a good file: inputs stay small, and the fuzzer does not spend
// minutes minimising whole files.
func edited(file []byte, at, cut uint16, insert []byte) []byte {
	begin := min(int(at), len(file))
	end := min(begin+int(cut), len(file))
	return slices.Concat(file[:begin], insert, file[end:])
}

func FuzzParse(f *testing.F) {
	good := []byte(gpt2File)
	at := func(s string) uint16 { return uint16(bytes.Index(good, []byte(s))) }
	f.Add(uint16(0), uint16(0), []byte(nil))
	f.Add(uint16(0), uint16(1<<16-1), []byte(`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]]}}`))
	f.Add(at(`"o n"`), uint16(5), []byte(`["o","n"]`))
	f.Add(at(`"on":256`), uint16(8), []byte(`"on":300`))
	f.Add(at(`"normalizer"`), uint16(0), []byte(`"post_processor": {"type": "TemplateProcessing"},`))
	f.Add(at(`"added_tokens": [`)+17, uint16(0), []byte(`{"id": 259, "content": "\ud800"},`))
	f.Add(uint16(2730), uint16(0), []byte("4")) // a large id
	f.Add(at(`"normalizer": null`), uint16(18), []byte(`"normalizer": {"type": "NFKC"}`))
	f.Add(at(`"added_tokens": [`)+17, uint16(0), []byte(`{"id": 259, "content": " x", "lstrip": true, "rstrip": true, "single_word": true},`))
	f.Fuzz(func(t *testing.T, at, cut uint16, insert []byte) {
		file := edited(good, at, cut, insert)
		within := memtest.Within(t, len(file), 1<<18)
		tok, err := Parse(file)
		within()
		if err != nil {
			return
		}
		if len(tok.Losses()) == 0 {
			checkRoundTrip(t, tok, insert)
		} else {
			checkStream(t, tok, insert)
		}
		again, err := Parse(tok.JSON())
		if err != nil {
			t.Fatalf("a saved file cannot be read: %v", err)
		}
		sameTokenizer(t, tok, again)
	})
}

func FuzzParseLlama3(f *testing.F) {
	good := tiktokenFile(tinyTokens()...)
	f.Add(uint16(0), uint16(0), []byte(nil))
	f.Add(uint16(0), uint16(1<<16-1), []byte("AA== 0\nAQ== 1\n"))
	f.Add(uint16(len(good)), uint16(0), []byte("YWFhYWFhYQ== 702\r\n\n"))
	f.Fuzz(func(t *testing.T, at, cut uint16, insert []byte) {
		file := edited(good, at, cut, insert)
		within := memtest.Within(t, len(file), 1<<18)
		tokens, err := parseTiktoken(file)
		within()
		if err != nil {
			return
		}
		if tok, err := parseLlama3(file, len(tokens)); err == nil {
			checkRoundTrip(t, tok, insert)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("It's 12345 o'clock,\r\n \n in  Łódź!"))
	f.Add([]byte("\xff\xe2\x82 \u00a0'ſ\t\t\n" + LiteralBOS))
	tokenizers := []*Tokenizer{Bytes(), small(), tinyLlama3(f)}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, tok := range tokenizers {
			checkRoundTrip(t, tok, text)
			ids := tok.TakingLiterals().Encode(string(text))
			var back []byte
			for _, id := range ids {
				back = append(back, tok.Token(id)...)
			}
			if string(back) != string(text) {
				t.Fatalf("with literals, Encode(%q) = %v, whose tokens are %q", text, ids, back)
			}
		}
	})
}
