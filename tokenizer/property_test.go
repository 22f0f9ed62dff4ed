package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawFile draws a tokenizer.json: byte-level or of SentencePiece's kind, with merges, added tokens in the vocabulary and
// behind it, ids with gaps and ids that are wrong.
func drawFile(t *rapid.T) []byte {
	pieces := rapid.Bool().Draw(t, "pieces")
	var keys []string
	for b := range 256 {
		if pieces {
			keys = append(keys, fmt.Sprintf("<0x%02X>", b))
		} else {
			keys = append(keys, string(runeOfByte[b]))
		}
	}
	letters := []string{"a", "b", "<", ">"}
	if pieces {
		letters = append(letters, string(metaspace))
		keys = append(keys, letters...)
	} else {
		letters = append(letters, "Ġ")
	}
	made := slices.Clone(letters)
	var merges []string
	for range rapid.IntRange(0, 8).Draw(t, "merges") {
		left, right := rapid.SampledFrom(made).Draw(t, "left"), rapid.SampledFrom(made).Draw(t, "right")
		if !slices.Contains(keys, left+right) {
			keys = append(keys, left+right)
			made = append(made, left+right)
			merges = append(merges, left+" "+right)
		}
	}
	vocab, next := map[string]int{}, 0
	add := func(key string) int {
		next += rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}).Draw(t, "gap")
		next++
		return next - 1
	}
	contents := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"<a>", "<a>b", "b<", "ab", "  ", " a", "\n", "é", "<s>", "</s>", "[PAD]", "Ġa", "▁a", "a", "\u2028\"\\"}), 0, 6, rapid.ID[string]).Draw(t, "added")
	var added []map[string]any
	flag := rapid.SampledFrom([]bool{false, false, false, false, true})
	list := func(content string, id int) {
		if rapid.IntRange(0, 30).Draw(t, "wrong") == 0 {
			id += rapid.IntRange(-2, 600).Draw(t, "by")
		}
		added = append(added, map[string]any{"content": content, "id": id, "special": flag.Draw(t, "special"), "normalized": flag.Draw(t, "normalized"),
			"lstrip": flag.Draw(t, "lstrip"), "rstrip": flag.Draw(t, "rstrip"), "single_word": flag.Draw(t, "word")})
	}
	var behind []string
	for _, c := range contents {
		switch {
		case slices.Contains(keys, c) || flag.Draw(t, "behind"):
			behind = append(behind, c)
		default:
			vocab[c] = add(c)
			list(c, vocab[c])
		}
	}
	for _, k := range keys {
		vocab[k] = add(k)
	}
	number := len(vocab)
	for _, c := range behind {
		id, listed := vocab[c]
		if !listed {
			id = number
			number++
		}
		list(c, id)
	}
	file := map[string]any{
		"added_tokens": added, "model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": pieces, "ignore_merges": flag.Draw(t, "whole")},
		"normalizer": rapid.SampledFrom([]any{nil, nil, nil, nil, map[string]any{"type": "NFC"}, map[string]any{"type": "Lowercase"}, map[string]any{"type": "Prepend", "prepend": "▁"}}).Draw(t, "normalizer"),
	}
	if pieces {
		file["decoder"] = map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": rapid.SampledFrom([]string{"always", "never"}).Draw(t, "decoder")}
		file["pre_tokenizer"] = rapid.SampledFrom([]any{nil, map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true}}).Draw(t, "pre")
	} else {
		file["pre_tokenizer"] = map[string]any{"type": "ByteLevel", "add_prefix_space": flag.Draw(t, "prefix"), "use_regex": flag.Draw(t, "regex")}
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is accepted is accepted again as saved, with the same ids and the same text.
func TestAcceptedAgain(t *testing.T) {
	accepted, lossless, tried := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		tried++
		file := drawFile(t)
		tok, err := Parse(file)
		if err != nil {
			return
		}
		accepted++
		if len(tok.Losses()) == 0 {
			lossless++
		}
		for name, tok := range map[string]*Tokenizer{"loaded": tok, "with PAD": tok.WithPAD()} {
			saved := tok.JSON()
			again, err := Parse(saved)
			if err != nil {
				t.Fatalf("%s: saved, it is refused: %v\n%s", name, err, file)
			}
			if string(again.JSON()) != string(saved) {
				t.Fatalf("%s: saved again, it differs\n%s", name, file)
			}
			text := rapid.StringMatching(`[ab<>sPAD/\[\]é▁\n ]{0,20}`).Draw(t, "text") + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"<a>", "b<", "[PAD]", "  ", " a"}), 0, 5).Draw(t, "more"), "")
			for range 2 {
				ids := tok.Encode(text)
				if got := again.Encode(text); !slices.Equal(got, ids) {
					t.Fatalf("%s: %q has the ids %v, saved %v\n%s", name, text, ids, got, file)
				}
				if got := string(tok.AppendDecode(nil, ids)); !tok.takes && len(tok.Losses()) == 0 && got != text {
					t.Fatalf("%s: %q comes back as %q, and no loss is known\n%s", name, text, got, file)
				}
				if got, want := string(again.AppendDecode(nil, ids)), string(tok.AppendDecode(nil, ids)); got != want {
					t.Fatalf("%s: %v decodes to %q, saved to %q\n%s", name, ids, want, got, file)
				}
				tok, again = tok.TakingLiterals(), again.TakingLiterals()
			}
		}
	})
	if accepted < tried/5 || lossless < tried/50 { // with -short fewer are tried
		t.Errorf("only %d files of %d were accepted, %d of them without losses", accepted, tried, lossless)
	}
}

// Ids of the vocabulary in proportion to its tokens stay so when the file is saved, also
// where added tokens are in the vocabulary.
func TestAcceptedAgainAtTheLimit(t *testing.T) {
	vocab := map[string]int{"<s>": 1500, "</s>": 1501, "[PAD]": 1502}
	for b := range 256 {
		vocab[string(runeOfByte[b])] = b
	}
	const most = 2*(256+3+3) + 1024
	for _, id := range []int{most - 3, most - 2, most, most + 1, 2 * most} {
		vocab["<x>"], vocab["ab"], vocab["cd"] = id, 300, 301
		data, _ := json.Marshal(map[string]any{
			"added_tokens":  []map[string]any{{"id": 1500, "content": "<s>", "special": true}, {"id": 1501, "content": "</s>", "special": true}, {"id": 1502, "content": "[PAD]", "special": true}, {"id": id, "content": "<x>"}},
			"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false}, "model": map[string]any{"vocab": vocab},
		})
		tok, err := Parse(data)
		if (err == nil) != (id <= most) {
			t.Errorf("id %d: %v", id, err)
		}
		if err != nil {
			continue
		}
		if _, err := Parse(tok.JSON()); err != nil {
			t.Errorf("id %d, saved: %v", id, err)
		}
	}
}
