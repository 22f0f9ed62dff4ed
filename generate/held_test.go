package generate

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/calm-go/calm/tokenizer"
	"pgregory.net/rapid"
)

// Where a stop text ends a text, and what of its last patch counts.
func TestStopText(t *testing.T) {
	const euro = "\u20ac"
	for _, c := range []struct {
		name   string
		tokens []int32 // in patches of four
		stops  []string
		max    int
		chunks []string
		stop   Stop
	}{
		{"within a patch", ids("abcd"), []string{"bc"}, 0, []string{"a"}, StopText},
		{"at once", ids("abcd"), []string{"ab"}, 0, nil, StopText},
		{"across patches", ids("abcdefgh"), []string{"cdef"}, 0, []string{"ab"}, StopText},
		{"across three", ids("abcdefghijkl"), []string{"defghi"}, 0, []string{"abc"}, StopText},
		{"not after all", ids("abcdexgh", 257), []string{"cdef"}, 0, []string{"ab", "cdexgh"}, StopEnd},
		{"its beginning at the end", ids("abcd", 257), []string{"cdef"}, 0, []string{"ab", "cd"}, StopEnd},
		{"its beginning at max", ids("abcdefgh"), []string{"cdef"}, 5, []string{"ab", "cde"}, StopMaxTokens},
		{"at max", ids("abcdefgh"), []string{"cdef"}, 6, []string{"ab"}, StopText},
		{"before the end of text", ids("abc", 257), []string{"bc"}, 0, []string{"a"}, StopText},
		{"the one that ends first", ids("abcdefgh"), []string{"bcdefg", "d"}, 0, []string{"abc"}, StopText},
		{"the longer of two", ids("abcdefgh"), []string{"d", "bcd"}, 0, []string{"a"}, StopText},
		{"a new beginning within", ids("ababacab"), []string{"abac"}, 0, []string{"ab"}, StopText},
		{"a character", ids("a" + euro + "bcd"), []string{euro}, 0, []string{"a"}, StopText},
		{"a character across patches", ids("abc" + euro + "de"), []string{"c" + euro}, 0, []string{"ab"}, StopText},
		{"another character", ids("abc\u20addefg", 257), []string{"c" + euro}, 0, []string{"ab", "c\u20ad" + "de", "fg"}, StopEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := scripted(t, &script{patch: 4, tokens: c.tokens}, Options{StopTexts: c.stops, MaxTokens: c.max})
			text, tokens, chunks, err := collect(g, "")
			if err != nil || text != strings.Join(c.chunks, "") || !slices.Equal(chunks, c.chunks) || g.result.Stop != c.stop {
				t.Errorf("%q, %+v, %v", chunks, g.result, err)
			}
			if !slices.Equal(tokens, ids(text)) || g.result.Tokens != len(tokens) {
				t.Errorf("tokens %v, %d of them, for %q", tokens, g.result.Tokens, text)
			}
		})
	}
}

// pairs has tokens of one to four bytes.
func pairs(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	text := []byte(strings.Repeat("abab\u20acab\u20ac aab\u20ac baa\u20ac\u20ac abba ", 50))
	tok, err := tokenizer.TrainBPE(t.Context(), slices.Values([][]byte{text}), 256+3+12, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Whatever the text, the stop texts and the pieces: the text ends where a stop text ends first, and nothing is shown that
// may be the beginning of one; all else is shown.
func TestStopTextOfPieces(t *testing.T) {
	tok := pairs(t)
	var letters []int32 // tokens of a, b, parts of the euro sign, and space
	for id := range int32(tok.VocabSize()) {
		if bytes := tok.Token(id); len(bytes) > 0 && strings.Trim(string(bytes), "ab \xe2\x82\xac") == "" && !tok.IsSpecial(id) {
			letters = append(letters, id)
		}
	}
	if len(letters) < 12 {
		t.Fatalf("%d tokens", len(letters))
	}
	tried, stopped := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		tried++
		tokens := rapid.SliceOfN(rapid.SampledFrom(letters), 1, 30).Draw(t, "tokens")
		shares := make([]float64, len(tokens))
		for i := range shares {
			shares[i] = float64(i)
		}
		stops := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("ab\u20ac")), 1, 5, -1), 1, 3).Draw(t, "stops")
		whole := string(tok.AppendDecode(nil, tokens))
		want, found := naiveStop(whole, stops)

		h := newHeld(tok, stops, nil)
		var text string
		var shown []int32
		var sharesShown []float64
		show := func(c Chunk) {
			text += c.Text
			shown, sharesShown = append(shown, c.Tokens...), append(sharesShown, c.Shares...)
		}
		ended := false
		for at := 0; at < len(tokens) && !ended; {
			n := rapid.IntRange(1, min(4, len(tokens)-at)).Draw(t, "n")
			var c Chunk
			c, ended = h.add(Chunk{Tokens: tokens[at : at+n], Shares: shares[at : at+n]})
			at += n
			show(c)
			so := string(tok.AppendDecode(nil, tokens[:at]))
			if ended != reaches(so, stops) {
				t.Fatalf("ended %v after %q, stop texts %q", ended, so, stops)
			}
			if !ended {
				checkHeld(t, so, text, stops)
			}
		}
		if !ended {
			show(h.flush())
		} else {
			stopped++
		}
		if text != want || ended != found {
			t.Fatalf("%q gives %q, %v, want %q, %v with the stop texts %q", whole, text, ended, want, found, stops)
		}
		if !slices.Equal(sharesShown, shares[:len(shown)]) {
			t.Fatalf("shares %v of %d tokens", sharesShown, len(shown))
		}
		if !slices.Equal(shown, tokens[:len(shown)]) || !strings.HasPrefix(string(tok.AppendDecode(nil, shown)), text) {
			t.Fatalf("tokens %v of %v for %q", shown, tokens, text)
		}
		if n := len(shown); n > 0 && ended && len(tok.AppendDecode(nil, shown[:n-1])) >= len(text) {
			t.Fatalf("tokens %v: fewer have all of %q", shown, text)
		}
	})
	if stopped < tried/20 {
		t.Errorf("only %d of %d texts ended with a stop text", stopped, tried)
	}
}

// naiveStop returns the text before the stop text that ends first.
func naiveStop(text string, stops []string) (before string, found bool) {
	for end := range len(text) + 1 {
		at := -1
		for _, stop := range stops {
			if strings.HasSuffix(text[:end], stop) && (at < 0 || end-len(stop) < at) {
				at = end - len(stop)
			}
		}
		if at >= 0 {
			return text[:at], true
		}
	}
	return text, false
}

// reaches reports whether a text has a stop text in it.
func reaches(text string, stops []string) bool {
	return slices.ContainsFunc(stops, func(stop string) bool { return strings.Contains(text, stop) })
}

// checkHeld checks what is shown of a text that goes on.
func checkHeld(t *rapid.T, text, shown string, stops []string) {
	t.Helper()
	rest, ok := strings.CutPrefix(text, shown)
	if !ok {
		t.Fatalf("%q is shown of %q", shown, text)
	}
	for n := 0; n < utf8.UTFMax && n <= len(rest); n++ { // the end may be part of a character
		if at := len(rest) - n; n == 0 || utf8.RuneStart(rest[at]) && !utf8.FullRuneInString(rest[at:]) {
			whole := rest[:at]
			if whole == "" || slices.ContainsFunc(stops, func(stop string) bool { return strings.HasPrefix(stop, whole) }) {
				return
			}
		}
	}
	t.Fatalf("%q is held back after %q, with the stop texts %q", rest, shown, stops)
}

// With a tokenizer of SentencePiece's kind, the space of a first token is dropped at the beginning of a text, and kept behind
// a prompt; stop texts change neither the text nor the tokens.
func TestHeldAfterPrompt(t *testing.T) {
	tok, err := tokenizer.Load("../tokenizer/testdata/kinds/llama2.json")
	if err != nil {
		t.Fatal(err)
	}
	written := tok.Encode("of the")
	for _, stops := range [][]string{nil, {"never"}} {
		for _, c := range []struct {
			prompt []int32
			want   string
		}{{nil, "of the"}, {[]int32{tok.BOS()}, "of the"}, {tok.Encode("and"), " of the"}} {
			h := newHeld(tok, stops, c.prompt)
			var text string
			var tokens []int32
			for _, id := range written {
				chunk, _ := h.add(Chunk{Tokens: []int32{id}})
				text, tokens = text+chunk.Text, append(tokens, chunk.Tokens...)
			}
			chunk := h.flush()
			if text, tokens = text+chunk.Text, append(tokens, chunk.Tokens...); text != c.want || !slices.Equal(tokens, written) {
				t.Errorf("behind %v, with stop texts %q: %q of %v, want %q of %v", c.prompt, stops, text, tokens, c.want, written)
			}
		}
	}
}
