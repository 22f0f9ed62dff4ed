package tokenizer

// A split cuts text into words where a regular expression matches, one match
// after another (the patterns below match everywhere, so nothing lies between).
type split uint8

const (
	splitNone split = iota // the text is one word
	splitGPT2
	splitLlama3
	splitQwen2 // Llama 3's, but digits are words by themselves
)

// patterns holds the regular expression of each split; splitNone has none.
var patterns = [...]string{
	splitGPT2:   `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
	splitLlama3: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	splitQwen2:  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
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
	}
	return len(text)
}

// nextLlama3 tries the alternatives of Llama 3's pattern in their order, decided by
// the class of the first character and that of the second. digits is the
// greatest length of a number.
func nextLlama3(text []byte, i, digits int) int {
	c, n := classAt(text, i)
	j := i + n
	switch c {
	case letter:
		return skip(text, j, letter)
	case number:
		for ; digits > 1; digits-- {
			c, n := classAt(text, j)
			if n == 0 || c != number {
				break
			}
			j += n
		}
		return j
	case newline:
		return endOfSpace(text, i, true)
	}
	if text[i] == '\'' {
		if n := contraction(text[j:], true); n > 0 {
			return j + n
		}
	}
	// [^\r\n\p{L}\p{N}]?\p{L}+: any one character, a space too, goes with letters.
	c2, n2 := classAt(text, j)
	if c2 == letter {
		return skip(text, j+n2, letter)
	}
	if c == other || text[i] == ' ' && c2 == other && n2 > 0 {
		return skip(text, skip(text, j, other), newline)
	}
	return endOfSpace(text, i, true)
}

// nextGPT2 does the same for GPT-2's pattern.
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

// endOfSpace matches \s*[\r\n]+|\s+(?!\S)|\s+ (without the first alternative
// unless lines) at text[i], which is white space: as far as the last line break
// of the run; else the whole run where the text ends; else all but its last
// character, which goes with what follows; and a single character by itself.
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
// text (what follows an apostrophe), or 0. With fold upper case counts too, and
// so does U+017F, the long s, which folds to s.
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
