package tokenizer

import "unicode/utf8"

// Cut returns the last place where text can be cut in two, so that both sides
// together have the ids of the whole, whatever follows the text. It is the end of
// letters or of digits: in every pattern that this package knows, they end a word.
// It returns 0 where there is no such place in text[1:len(text)-3]; what is behind
// that may be an incomplete character.
//
// A tokenizer without a pattern merges across such places; see [Tokenizer.Words].
func Cut(text []byte) int {
	fillClasses()
	next := other // the class of the character at text[i]
	if i := len(text) - utf8.UTFMax; i > 0 {
		next, _ = classAt(text, i)
	}
	for i := len(text) - utf8.UTFMax; i > 0; {
		c, n := classBefore(text[:i])
		if c != next && (c == letter || c == number) {
			return i
		}
		next, i = c, i-n
	}
	return 0
}

// classBefore returns the class and the length of the last character of text, which
// is not empty. A place behind bytes that are not UTF-8 is never the end of letters
// or digits.
func classBefore(text []byte) (class, int) {
	if c := text[len(text)-1]; c < utf8.RuneSelf {
		return classes[c], 1
	}
	r, n := utf8.DecodeLastRune(text)
	if r == utf8.RuneError {
		return other, n
	}
	c, _ := classWide(text[len(text)-n:])
	return c, n
}

// Words reports whether t cuts text into words before it merges, or does not merge
// at all. Then the ids of a text are those of its two sides at each [Cut].
func (t *Tokenizer) Words() bool {
	return t.split != splitNone || len(t.merges) == 0 && t.whole == nil
}
