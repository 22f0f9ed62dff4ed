package tokenizer

import "bytes"

// A split cuts text into words: the successive matches of a regular expression.
// The patterns below match everywhere, so nothing lies between two words.
type split uint8

const (
	splitNone split = iota // the text is one word
	splitGPT2
	splitLlama3
	splitQwen2   // Llama 3's, but each digit is a word
	splitCL100K  // Llama 3's, but white space at the end of a text is one word, and all digits are
	splitO200K   // also cuts before capital letters
	splitTekken  // O200K's without contractions, and each digit is a word
	splitDigits  // digits and what is between them (no pattern)
	splitDigit   // the same, but each digit is a word (no pattern)
	splitSpaces  // before each U+2581 (no pattern)
	splitSpaces1 // before each U+2581 that is not behind another one (no pattern)
)

// patterns holds the regular expressions of each split as the files of
// tokenizers spell them. calm writes the first of them.
var patterns = map[split][]string{
	splitGPT2: {
		`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
		`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
		`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`,
	},
	splitLlama3: {
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
		`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
	},
	splitQwen2: {
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	},
	splitCL100K: {
		`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
	},
	splitO200K: {
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	},
	splitTekken: {
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	},
}

// next returns the end of the word that begins at text[i], i < len(text).
func (s split) next(text []byte, i int) int {
	switch s {
	case splitGPT2:
		return nextGPT2(text, i)
	case splitLlama3:
		return nextLlama3(text, i, 3)
	case splitQwen2:
		return nextLlama3(text, i, 1)
	case splitCL100K:
		return nextCL100K(text, i)
	case splitO200K:
		return nextO200K(text, i, 3, true)
	case splitTekken:
		return nextO200K(text, i, 1, false)
	case splitDigits:
		return nextDigits(text, i)
	case splitDigit:
		if c, n := classAt(text, i); c == number {
			return i + n
		}
		return nextDigits(text, i)
	case splitSpaces:
		return nextSpace(text, i+1)
	case splitSpaces1:
		for bytes.HasPrefix(text[i:], metaspace) {
			i += len(metaspace)
		}
		return nextSpace(text, i)
	}
	return len(text)
}

// nextLlama3 matches Llama 3's pattern at text[i] and returns the end of the match.
// The classes of the first two characters decide which alternative of the pattern
// matches first. digits is the largest number of digits in a word.
func nextLlama3(text []byte, i, digits int) int {
	c, n := classAt(text, i)
	j := i + n
	switch c {
	case letter:
		return skip(text, j, letter)
	case number:
		return skipDigits(text, j, digits-1)
	case newline:
		return endOfSpace(text, i, true)
	}
	if text[i] == '\'' {
		if n := contraction(text[j:], true); n > 0 {
			return j + n
		}
	}
	// [^\r\n\p{L}\p{N}]?\p{L}+: one character before letters belongs to their word.
	c2, n2 := classAt(text, j)
	if c2 == letter {
		return skip(text, j+n2, letter)
	}
	if c == other || text[i] == ' ' && c2 == other && n2 > 0 {
		return skip(text, skip(text, j, other), newline)
	}
	return endOfSpace(text, i, true)
}

// skipDigits returns the end of at most n digits that begin at text[i].
func skipDigits(text []byte, i, n int) int {
	for ; n > 0; n-- {
		c, size := classAt(text, i)
		if size == 0 || c != number {
			break
		}
		i += size
	}
	return i
}

// nextGPT2 matches GPT-2's pattern at text[i] and returns the end of the match.
func nextGPT2(text []byte, i int) int {
	c, n := classAt(text, i)
	j := i + n
	if text[i] == '\'' {
		if n := contraction(text[j:], false); n > 0 {
			return j + n
		}
	}
	if text[i] == ' ' {
		if c2, n2 := classAt(text, j); n2 > 0 {
			c, j = c2, j+n2
		}
	}
	if c == space || c == newline {
		return endOfSpace(text, i, false)
	}
	return skip(text, j, c)
}

// skip returns the end of the characters of class c that begin at text[i].
func skip(text []byte, i int, c class) int {
	for i < len(text) {
		if b := text[i]; b < 0x80 {
			if classes[b] != c {
				return i
			}
			i++
			continue
		}
		is, n := classWide(text[i:])
		if is != c {
			return i
		}
		i += n
	}
	return i
}

// endOfSpace returns the end of the match of \s*[\r\n]+|\s+(?!\S)|\s+ at text[i],
// which is white space. If lines is false, the first alternative is left out. The
// match ends, in this order of precedence:
//   - after the last line break of the white space (lines only),
//   - at the end of the text, if only white space is left,
//   - before the last character of the white space, which belongs to the next word,
//     unless it is the only one.
func endOfSpace(text []byte, i int, lines bool) int {
	last, lastBreak := i, -1
	j := i
	for j < len(text) {
		c, n := classAt(text, j)
		if c != space && c != newline {
			break
		}
		last = j
		j += n
		if c == newline {
			lastBreak = j
		}
	}
	switch {
	case lines && lastBreak >= 0:
		return lastBreak
	case j < len(text) && last > i:
		return last
	}
	return j
}

// contraction returns the length of s, t, re, ve, m, ll or d at the beginning of
// text (after an apostrophe), or 0. With fold, case is ignored. Then U+017F, the
// long s, counts as s.
func contraction(text []byte, fold bool) int {
	at := func(i int) byte {
		if i >= len(text) {
			return 0
		}
		if c := text[i]; fold && 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return text[i]
	}
	switch at(0) {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if at(1) == 'e' {
			return 2
		}
	case 'l':
		if at(1) == 'l' {
			return 2
		}
	case 0xc5:
		if fold && at(1) == 0xbf {
			return 2
		}
	}
	return 0
}
