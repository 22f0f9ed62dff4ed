package corpus

import (
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/tokenizer"
)

// A long document is encoded in parts, and has the ids of the whole, also where a tokenizer puts a space before a text.
func TestPartsOfOneText(t *testing.T) {
	text := strings.Repeat("the whale and the sea\nthe Captain\n", 3*jobSize/34)
	for _, kind := range []string{"prefix", "metaspace", "llama2"} {
		tok, err := tokenizer.Load("../tokenizer/testdata/kinds/" + kind + ".json")
		if err != nil {
			t.Fatal(err)
		}
		tok = tok.WithPAD().WithRoles(tokenizer.None, 0, tokenizer.None) // one of them has no EOS
		c, err := Tokenize(t.Context(), given(text, "x"), tok)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var got []int32
		for ids, err := range c.All().Each() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ids...)
		}
		// The held-out tail of a document is a text of its own.
		at := strings.Count(string(tok.AppendDecode(nil, got)), "whale")
		if want := strings.Count(text, "whale"); at != want {
			t.Errorf("%s: %d whales, want %d", kind, at, want)
		}
		head := tok.Encode(text)
		n := len(head) / 10 * 9
		if !slices.Equal(got[:n], head[:n]) {
			t.Errorf("%s: a part has other ids than in the whole", kind)
		}
	}
}
