package tokenizer

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"pgregory.net/rapid"
)

// textGen draws text that is dense in the cases of the patterns: all kinds of space,
// letters with unusual case folding, digits of several scripts, and invalid UTF-8.
func textGen() *rapid.Generator[[]byte] {
	pieces := rapid.SampledFrom(strings.Split(
		" |  |   |\t|\n|\r|\r\n|\n\n|\v|\f|\u0085|\u00a0|\u2003|\u2028|\u3000|'|'s|'S|'ſ|'t|'RE|'vE|'m|'Ll|'d|'x|K|ſ|"+
			"a|b|The|the|hello|naïve|e\u0301|Straße|漢字|かな|жук|ﬁ|ǅ|ª|1|22|333|4444|१२|½|Ⅷ|²|!|?!|...|-|_|<\x7c|😀|👩‍👩‍👧|\u200b|\u200d|\ufeff|\ufffd|"+
			"\xff|\xc3|\xe2\x82|\x80|\xed\xa0\x80|\xf4\x90\x80\x80|\x00|\U00020000|\U0001d7d8|"+LiteralBOS[:2], "|"))
	return rapid.Custom(func(t *rapid.T) []byte {
		var text []byte
		for range rapid.IntRange(0, 24).Draw(t, "pieces") {
			if rapid.IntRange(0, 9).Draw(t, "kind") > 0 {
				text = append(text, pieces.Draw(t, "piece")...)
			} else {
				text = utf8.AppendRune(text, rapid.Rune().Draw(t, "rune"))
			}
		}
		return text
	})
}

// wordsOf cuts text with the scanner.
func wordsOf(s split, text []byte) []string {
	var words []string
	for i := 0; i < len(text); {
		j := s.next(text, i)
		words = append(words, string(text[i:j]))
		i = j
	}
	return words
}

// wordsByRegex cuts text with a backtracking engine. The engine sees invalid bytes as
// U+FFFD, so the words are taken from text by their lengths in characters.
func wordsByRegex(t interface{ Fatal(...any) }, re *regexp2.Regexp, text []byte) []string {
	var words []string
	m, err := re.FindRunesMatch([]rune(string(text)))
	for rest := text; m != nil; m, err = re.FindNextMatch(m) {
		n := 0
		for range m.Length {
			_, size := utf8.DecodeRune(rest[n:])
			n += size
		}
		words = append(words, string(rest[:n]))
		rest = rest[n:]
	}
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestSplitAgainstRegex(t *testing.T) {
	fillClasses()
	tested := 0
	for s, all := range patterns {
		for _, pattern := range all {
			tested++
			t.Run(pattern, rapid.MakeCheck(func(t *rapid.T) {
				re := regexp2.MustCompile(backtracking.Replace(pattern), regexp2.None)
				text := textGen().Draw(t, "text")
				got, want := wordsOf(s, text), wordsByRegex(t, re, text)
				if strings.Join(got, "\x01") != strings.Join(want, "\x01") {
					t.Fatalf("%q\nis cut %q\nwant   %q", text, got, want)
				}
			}))
		}
	}
	if tested != 10 {
		t.Errorf("%d patterns tested", tested)
	}
}

// backtracking turns a pattern into one for regexp2, which folds case by ToLower, which does not change the long s, and
// has atomic groups for possessive quantifiers.
var backtracking = strings.NewReplacer("(?i:'s|", "(?i:'s|'ſ|", "(?i:[sdmt]|", "(?i:[sſdmt]|",
	`[^\r\n\p{L}\p{N}]?+`, `(?>[^\r\n\p{L}\p{N}]?)`, `\p{L}++`, `(?>\p{L}+)`, `\p{N}++`, `(?>\p{N}+)`, `\p{N}{1,3}+`, `(?:\p{N}{1,3})+`,
	`[^\s\p{L}\p{N}]++`, `(?>[^\s\p{L}\p{N}]+)`, `[\r\n]*+`, `(?>[\r\n]*)`, `\s++$`, `(?>\s+)\z`)

// The class of every character agrees with the unicode package.
func TestClasses(t *testing.T) {
	fillClasses()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := other
		switch {
		case r == '\r' || r == '\n':
			want = newline
		case unicode.IsSpace(r):
			want = space
		case unicode.IsLetter(r):
			want = letter
		case unicode.IsNumber(r):
			want = number
		}
		text := utf8.AppendRune(nil, r)
		if got, n := classAt(text, 0); got != want || n != len(text) {
			t.Fatalf("%U has class %d and length %d, want %d and %d", r, got, n, want, len(text))
		}
	}
}
