package tokenizer

import "testing"

func FuzzParse(f *testing.F) {
	f.Add([]byte(gpt2File))
	f.Add(Bytes().JSON())
	f.Add([]byte(`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse(data)
		if err != nil {
			return
		}
		checkRoundTrip(t, tok, data[:min(len(data), 1000)])
		again, err := Parse(tok.JSON())
		if err != nil {
			t.Fatalf("what is saved cannot be read: %v", err)
		}
		sameTokenizer(t, tok, again)
	})
}

func FuzzParseLlama3(f *testing.F) {
	f.Add(tiktokenFile(tinyTokens()...))
	f.Add([]byte("AA== 0\nAQ== 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, err := parseTiktoken(data)
		if err != nil {
			return
		}
		tok, err := parseLlama3(data, len(tokens))
		if err != nil {
			return
		}
		checkRoundTrip(t, tok, data[:min(len(data), 1000)])
	})
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("It's 12345 o'clock,\r\n \n in  Łódź!"))
	f.Add([]byte("\xff\xe2\x82 \u00a0'ſ\t\t\n" + LiteralBOS))
	tokenizers := []*Tokenizer{Bytes(), small(), tinyLlama3(f)}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, tok := range tokenizers {
			checkRoundTrip(t, tok, text)
			ids := tok.EncodeSpecial(string(text))
			var back []byte
			for _, id := range ids {
				back = append(back, tok.Token(id)...)
			}
			if string(back) != string(text) {
				t.Fatalf("EncodeSpecial(%q) = %v, whose tokens are %q", text, ids, back)
			}
		}
	})
}
