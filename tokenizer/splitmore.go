package tokenizer

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// metaspace is the character that stands for a space in SentencePiece's vocabularies.
var metaspace = []byte("\u2581")

// nextSpace returns the place of the next metaspace from text[i] on, or the end of text.
func nextSpace(text []byte, i int) int {
	if at := bytes.Index(text[i:], metaspace); at >= 0 {
		return i + at
	}
	return len(text)
}

// nextDigits returns the end of the digits, or of what is not digits, that begin at text[i].
func nextDigits(text []byte, i int) int {
	c, n := classAt(text, i)
	for digits := c == number; n > 0 && digits == (c == number); c, n = classAt(text, i) {
		i += n
	}
	return i
}

// nextCL100K matches the newer pattern of tiktoken's cl100k_base at text[i] and returns the end of the match. It differs from
// Llama 3's in white space at the end of a text. Its \p{N}{1,3}+ has one to three digits in tiktoken, but any number of them
// in Hugging Face's library, whose regular expressions (Oniguruma) repeat {1,3} there.
func nextCL100K(text []byte, i int) int {
	if c, _ := classAt(text, i); c == space || c == newline {
		if end := skipSpace(text, i); end == len(text) {
			return end
		}
	}
	return nextLlama3(text, i, len(text))
}

// skipSpace returns the end of the white space that begins at text[i].
func skipSpace(text []byte, i int) int {
	for {
		c, n := classAt(text, i)
		if n == 0 || c != space && c != newline {
			return i
		}
		i += n
	}
}

// nextO200K matches the pattern of tiktoken's o200k_base at text[i] and returns the end of the match. digits is the largest
// number of digits in a word. Without contractions it is the pattern of Mistral's Tekken.
func nextO200K(text []byte, i, digits int, contractions bool) int {
	c, n := classAt(text, i)
	j := i + n
	if end := nextCased(text, i, c, j); end > 0 {
		if contractions && end < len(text) && text[end] == '\'' {
			if n := contraction(text[end+1:], true); n > 0 {
				return end + 1 + n
			}
		}
		return end
	}
	switch {
	case c == number:
		return skipDigits(text, j, digits-1)
	case c == newline:
		return endOfSpace(text, i, true)
	}
	c2, n2 := classAt(text, j)
	if c == other || text[i] == ' ' && c2 == other && n2 > 0 {
		for j = skip(text, j, other); j < len(text) && (text[j] == '\r' || text[j] == '\n' || text[j] == '/'); j++ {
		}
		return j
	}
	return endOfSpace(text, i, true)
}

// nextCased matches the first two alternatives of o200k_base at text[i], without contractions: at most one character that
// is no letter, digit or line break, then capital letters, then small letters, with at least one of the latter if that is
// possible. Letters without case and marks count as both. c is the class of the character at text[i], and j its end. It
// returns 0 where nothing matches.
func nextCased(text []byte, i int, c class, j int) int {
	var starts [2]int // where the letters may begin, in the order of the pattern
	some := starts[:0]
	if c == other || c == space {
		some = append(some, j)
	}
	some = append(some, i)
	for _, start := range some {
		if end := endOfSmall(text, start); end > 0 {
			return end
		}
	}
	for _, start := range some {
		if end := skipCase(text, start, capital|uncased); end > start {
			return skipCase(text, end, smallLetter|uncased)
		}
	}
	return 0
}

// endOfSmall matches capital letters and then at least one small letter at text[i]. It returns the end of the match, or 0.
func endOfSmall(text []byte, i int) int {
	lastUncased := 0
	for {
		c, n := caseAt(text, i)
		switch c {
		case uncased:
			lastUncased = i + n
		case smallLetter:
			return skipCase(text, i, smallLetter|uncased)
		case caseless:
			return lastUncased // which was the small letter
		}
		i += n
	}
}

// A letterCase says to which of the letters of o200k_base a character belongs.
type letterCase uint8

const (
	caseless    letterCase = 0         // no letter and no mark
	capital     letterCase = 1 << iota // Lu, Lt
	smallLetter                        // Ll
	uncased                            // Lm, Lo, M: both
)

// skipCase returns the end of the characters of the given cases that begin at text[i].
func skipCase(text []byte, i int, cases letterCase) int {
	for {
		c, n := caseAt(text, i)
		if c&cases == 0 {
			return i
		}
		i += n
	}
}

// caseAt returns the case and the length of the character at text[i]; caseless at the end of the text.
func caseAt(text []byte, i int) (letterCase, int) {
	if i >= len(text) {
		return caseless, 0
	}
	switch c := text[i]; {
	case 'a' <= c && c <= 'z':
		return smallLetter, 1
	case 'A' <= c && c <= 'Z':
		return capital, 1
	case c < utf8.RuneSelf:
		return caseless, 1
	}
	r, n := utf8.DecodeRune(text[i:])
	switch {
	case unicode.Is(unicode.Ll, r):
		return smallLetter, n
	case unicode.In(r, unicode.Lu, unicode.Lt):
		return capital, n
	case unicode.In(r, unicode.Lo, unicode.Lm, unicode.M):
		return uncased, n
	}
	return caseless, n
}
