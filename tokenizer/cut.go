package tokenizer

import "unicode/utf8"

// Cut returns the last place where text can be cut in two, so that both sides
// together have the ids of the whole, whatever follows the text. It is the end of
// letters or of digits: they end a word for a tokenizer of [Tokenizer.Words].
// It returns 0 where there is no such place in text[1:len(text)-3]; what is behind
// that may be an incomplete character.
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
// at all, and does nothing else. Then the ids of a text are those of its two sides
// at each [Cut]. It is false for a tokenizer that normalizes text, puts something
// before it, or looks for added tokens in it.
func (t *Tokenizer) Words() bool { return t.words() && !t.searches() }

// words is Words without regard to added tokens.
func (t *Tokenizer) words() bool {
	if len(t.normalizers) > 0 || !t.direct {
		return false
	}
	switch t.cuts[0].split {
	case splitGPT2, splitLlama3, splitQwen2, splitCL100K: // others keep marks or an apostrophe with letters
		return true
	}
	return len(t.merges) == 0 && !t.whole && !t.pieces
}

// searches reports whether literals of added tokens in a text become these tokens.
func (t *Tokenizer) searches() bool { return t.raw.wanted(t.takes) || t.normalized.wanted(t.takes) }
