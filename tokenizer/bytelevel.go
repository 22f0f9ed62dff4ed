package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// Byte-level files write every byte as a printable character, as GPT-2's encoder
// did: the Latin-1 character of the byte where that is printable, else one from
// U+0100 on, in the order of the bytes.
var runeOfByte, byteOfRune = byteLevelAlphabet()

func byteLevelAlphabet() (runes [256]rune, bytes map[rune]byte) {
	bytes = make(map[rune]byte, 256)
	spare := rune(0x100)
	for b := range rune(256) {
		shown := '!' <= b && b <= '~' || '¡' <= b && b <= '¬' || '®' <= b && b <= 'ÿ'
		runes[b] = b
		if !shown {
			runes[b] = spare
			spare++
		}
		bytes[runes[b]] = byte(b)
	}
	return runes, bytes
}

// appendByteLevel appends p, written in the byte-level alphabet.
func appendByteLevel(dst, p []byte) []byte {
	for _, b := range p {
		dst = utf8.AppendRune(dst, runeOfByte[b])
	}
	return dst
}

// fromByteLevel is the inverse of appendByteLevel.
func fromByteLevel(s string) ([]byte, error) {
	p := make([]byte, 0, len(s))
	for _, r := range s {
		b, ok := byteOfRune[r]
		if !ok {
			return nil, fmt.Errorf("%q has the character %q, which is not in the byte-level alphabet: only byte-level vocabularies are supported", s, r)
		}
		p = append(p, b)
	}
	return p, nil
}
