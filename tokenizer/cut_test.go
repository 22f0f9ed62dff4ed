package tokenizer

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// cuttable generates texts of all classes of characters, with bytes that are not UTF-8.
func cuttable() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z]{1,8}`), rapid.StringMatching(`[0-9]{1,7}`),
		rapid.SampledFrom([]string{" ", "  ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "'", "'s", "'LL", "don't", "'ſ", "ſ", "é", "鯨", "鯨魚", "٣", "²", "Ⅷ", "𝟘", "𐐀",
			"!", "...", "—", "🐋", "e\u0301", "\xff", "\xc3", "\xe9\xaf", "\x80", "\u200b", "\ufeff", "_", "x1y2", "<|end_of_text|>", "[PAD]", "[PA"}),
		rapid.String(),
	)
	return rapid.Map(rapid.SliceOfN(part, 0, 30), func(parts []string) string { return strings.Join(parts, "") })
}

// trained returns a tokenizer with Llama 3's pattern.
func trained(t testing.TB, vocab int, texts ...string) *Tokenizer {
	tok, err := TrainBPE(t.Context(), func(yield func([]byte) bool) {
		for _, text := range texts {
			if !yield([]byte(text)) {
				return
			}
		}
	}, vocab, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// withSplit returns t with another pattern.
func withSplit(t *Tokenizer, s split) *Tokenizer {
	spec := t.spec.clone()
	spec.stages = []stage{{split: s}, {}}
	with, err := build(spec)
	if err != nil {
		panic(err)
	}
	return with
}

// A text that is cut in two at a Cut has the ids of the whole, with every pattern, whatever follows.
func TestCutKeepsIDs(t *testing.T) {
	book := "The whale's don't we'll 1234 times swim... in the sea; 鯨 鯨魚 naïve café\n\nCall me Ishmael.  Some years ago\r\n\t never mind"
	tok := trained(t, 400, book, strings.ToUpper(book), book)
	found, tried := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		tried++
		before, after := cuttable().Draw(t, "before"), cuttable().Draw(t, "after")
		at := Cut([]byte(before))
		if at == 0 {
			return
		}
		found++
		text := []byte(before + after)
		for _, s := range []split{splitGPT2, splitLlama3, splitQwen2} {
			tok := withSplit(tok, s)
			got := tok.AppendEncode(tok.AppendEncode(nil, text[:at]), text[at:])
			if want := tok.AppendEncode(nil, text); !slices.Equal(got, want) {
				t.Fatalf("pattern %d, cut at %q|%q: ids %v, want %v", s, text[:at], text[at:], got, want)
			}
		}
	})
	if found < tried/5 { // with -short fewer are tried
		t.Errorf("only %d texts of %d have a place to cut", found, tried)
	}
	for text, want := range map[string]int{"": 0, "abc": 0, "ab cdefg": 2, "ab cd efgh": 5, "aaaaaaaaaaaaaaa": 0, "....   ....": 0, "a1b2c3 xyz": 6, "鯨。鯨魚。……": 12} {
		if got := Cut([]byte(text)); got != want {
			t.Errorf("%q is cut at %d, want %d", text, got, want)
		}
	}
}

// EncodeReader gives the ids of the whole text, also where a literal or a character lies across the end of what it holds.
func TestEncodeReader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector; shorter tests run the same goroutines")
	}
	words := "The whale's don't we'll 1234 times swim... in the sea; 鯨 鯨魚 naïve café [PAD] <|end_of_text|>\n\nCall me\r\n\t"
	bpe := trained(t, 400, words, words)
	texts := map[string]string{
		"empty": "", "short": words, "words": strings.Repeat(words, 3*readSize/len(words)), "Chinese": strings.Repeat("鯨魚在海裡游泳。", readSize/12),
		"literals": strings.Repeat("[PAD]", readSize/3), "almost literals": strings.Repeat("[PAD<|end_of", readSize/6) + "[PAD]",
		"exactly": strings.Repeat("a b ", readSize/4), "one more": strings.Repeat("a b ", readSize/4) + "c",
	}
	for shift := range 12 { // a literal at each place across the end
		texts["shifted"+strings.Repeat("+", shift)] = strings.Repeat(" ab", readSize/3+9)[:readSize-12+shift] + "<|end_of_text|>" + words
	}
	for name, text := range texts {
		for kind, tok := range map[string]*Tokenizer{"bytes": Bytes(), "Llama 3": bpe, "GPT-2": withSplit(bpe, splitGPT2), "literals": bpe.TakingLiterals()} {
			var got []int32
			err := tok.EncodeReader(iotest.HalfReader(strings.NewReader(text)), func(ids []int32) error {
				got = append(got, ids...)
				return nil
			})
			if want := tok.AppendEncode(nil, []byte(text)); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, %s: other ids (%v)", name, kind, err)
			}
		}
	}
	for name, text := range map[string]string{"one letter": strings.Repeat("a", 5*readSize), "accents": strings.Repeat("é", 2*readSize)} {
		for kind, tok := range map[string]*Tokenizer{"words": bpe, "no pattern": withSplit(bpe, splitNone)} {
			var back []byte
			longest := 0
			err := tok.EncodeReader(strings.NewReader(text), func(ids []int32) error {
				part := tok.AppendDecode(nil, ids)
				longest = max(longest, len(part))
				back = append(back, part...)
				return nil
			})
			if err != nil || string(back) != text || longest > readSize {
				t.Errorf("%s, %s: %d bytes of %d in parts of up to %d (%v)", name, kind, len(back), len(text), longest, err)
			}
		}
	}
	// Tokenizers that do more than cutting text into words are cut where lines begin.
	for _, kind := range []string{"spaces", "overlap", "strip", "prefix", "nfc", "lower", "o200k", "digits", "metaspace", "words"} {
		tok, err := Load("testdata/kinds/" + kind + ".json")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("The whale  <a>bb<c> and\u00a0<mask>   the\tsea <think>  e\u0301 \nthe sea\nthe Captain's 333\n\n  <s>", 9*readSize/800)
		for _, tok := range []*Tokenizer{tok, tok.TakingLiterals()} {
			var got []int32
			err := tok.EncodeReader(strings.NewReader(text), func(ids []int32) error {
				got = append(got, ids...)
				return nil
			})
			if want := tok.Encode(text); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: other ids (%v)", kind, err)
			}
		}
	}
	broken := errors.New("broken")
	if err := bpe.EncodeReader(iotest.ErrReader(broken), func([]int32) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if err := bpe.EncodeReader(bytes.NewReader(make([]byte, 3*readSize)), func([]int32) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a receiver that fails: %v", err)
	}
}
