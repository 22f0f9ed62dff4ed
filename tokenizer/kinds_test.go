package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kindCase is what Hugging Face's library gives for a text.
type kindCase struct {
	Text  string
	IDs   []int32 // with literals of special tokens
	Plain []int32 // without; nil if that is the same
	Full  []int32 // with what the post-processor adds
	Back  string  // the text of IDs
}

// The ids, and the text that comes back, are those of Hugging Face's library, for
// all kinds of tokenizers: see testdata/kinds/make.py. That also holds for what calm
// saves of them.
func TestKinds(t *testing.T) {
	files, err := filepath.Glob("testdata/kinds/*.json")
	if err != nil || len(files) != 18 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			tok, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(tok.JSON())
			if err != nil {
				t.Fatalf("saved: %v", err)
			}
			sameTokenizer(t, tok, again)
			cases := jsonLines[kindCase](t, strings.TrimSuffix(file, "json")+"jsonl")
			if len(cases) != 60 {
				t.Errorf("%d cases", len(cases))
			}
			for _, c := range cases {
				checkKind(t, tok, c)
				checkKind(t, again, c)
			}
		})
	}
}

func checkKind(t *testing.T, tok *Tokenizer, c kindCase) {
	t.Helper()
	if c.Plain == nil {
		c.Plain = c.IDs
	}
	if got := tok.Encode(c.Text); !slices.Equal(got, c.Plain) {
		t.Errorf("Encode(%q) = %v, want %v", c.Text, got, c.Plain)
	}
	ids := tok.TakingLiterals().Encode(c.Text)
	if !slices.Equal(ids, c.IDs) {
		t.Errorf("with literals, Encode(%q) = %v, want %v", c.Text, ids, c.IDs)
	}
	full := ids
	if tok.AddsBOS() {
		full = append([]int32{tok.BOS()}, full...)
	}
	if tok.AddsEOS() {
		full = append(full, tok.EOS())
	}
	if !slices.Equal(full, c.Full) {
		t.Errorf("with the post-processor's tokens, %q has the ids %v, want %v", c.Text, full, c.Full)
	}
	// The library replaces bytes that are not UTF-8.
	if got, err := tok.Decode(c.IDs); err != nil || strings.ToValidUTF8(got, "\ufffd") != c.Back {
		t.Errorf("Decode(%v) = %q, %v, want %q", c.IDs, got, err, c.Back)
	}
	var streamed []byte
	s := tok.NewStream()
	for _, id := range c.IDs {
		streamed = s.Append(streamed, id)
	}
	if streamed = s.Flush(streamed); strings.ToValidUTF8(string(streamed), "\ufffd") != c.Back {
		t.Errorf("streamed, %v decodes to %q, want %q", c.IDs, streamed, c.Back)
	}
}

// A saved file has the parts of the one that was read: Hugging Face's library numbers
// added tokens by the vocabulary, cuts text by the pre-tokenizer, and so on.
func TestKindsSaved(t *testing.T) {
	files, err := filepath.Glob("testdata/kinds/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	type parts struct {
		Normalizer    any `json:"normalizer"`
		PreTokenizer  any `json:"pre_tokenizer"`
		PostProcessor any `json:"post_processor"`
		Decoder       any `json:"decoder"`
		AddedTokens   any `json:"added_tokens"`
		Model         any `json:"model"`
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		var was, is parts
		if err := json.Unmarshal(data, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(tok.JSON(), &is); err != nil {
			t.Fatal(err)
		}
		if d, ok := was.Decoder.(map[string]any); ok && d["type"] == "ByteLevel" {
			d["add_prefix_space"] = false // which changes nothing
		}
		for name, part := range map[string][2]any{
			"normalizer": {was.Normalizer, is.Normalizer}, "pre_tokenizer": {was.PreTokenizer, is.PreTokenizer},
			"post_processor": {was.PostProcessor, is.PostProcessor}, "decoder": {was.Decoder, is.Decoder},
			"added_tokens": {was.AddedTokens, is.AddedTokens}, "model": {was.Model, is.Model},
		} {
			before, _ := json.Marshal(part[0])
			after, _ := json.Marshal(part[1])
			if !bytes.Equal(before, after) {
				t.Errorf("%s: %s was %s, is %s", file, name, clip(before), clip(after))
			}
		}
	}
}
