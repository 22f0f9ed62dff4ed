package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// A class is a class of characters that the regular expressions distinguish.
type class uint8

const (
	other   class = iota // [^\s\p{L}\p{N}]
	letter               // \p{L}
	number               // \p{N}
	space                // \s without [\r\n]
	newline              // [\r\n]
)

// classes holds the classes of the first two Unicode planes. The others have few
// letters; for them the unicode package is asked.
var classes [0x20000]class

var fillClasses = sync.OnceFunc(func() {
	fill(unicode.L, letter)
	fill(unicode.N, number)
	fill(unicode.White_Space, space)
	classes['\r'], classes['\n'] = newline, newline
})

func fill(table *unicode.RangeTable, c class) {
	for _, r := range table.R16 {
		for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
			classes[x] = c
		}
	}
	for _, r := range table.R32 {
		for x := r.Lo; x <= r.Hi && x < uint32(len(classes)); x += r.Stride {
			classes[x] = c
		}
	}
}

// classAt returns the class and the length of the character at text[i]. At the
// end of the text the length is 0 and the class other.
func classAt(text []byte, i int) (class, int) {
	if i >= len(text) {
		return other, 0
	}
	if c := text[i]; c < utf8.RuneSelf {
		return classes[c], 1
	}
	return classWide(text[i:])
}

func classWide(text []byte) (class, int) {
	r, n := utf8.DecodeRune(text)
	switch {
	case int(r) < len(classes):
		return classes[r], n
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	}
	return other, n
}
