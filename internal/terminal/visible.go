package terminal

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Visible returns text with all control characters made visible: ␛ for an escape, \x9b for a control character beyond ASCII or a
// byte of invalid UTF-8, \u202e for a character that changes the direction of writing. Line breaks and tabs stay.
func Visible(text string) string { return string(appendVisible(nil, []byte(text))) }

// appendVisible appends the visible form of text to dst.
func appendVisible(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02x`, text[0])
		case r == '\n' || r == '\t':
			dst = append(dst, byte(r))
		case r < ' ':
			dst = utf8.AppendRune(dst, '␀'+r)
		case r == 0x7f:
			dst = utf8.AppendRune(dst, '␡')
		case unicode.IsControl(r):
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case turns(r):
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

// turns reports whether a character changes the direction of writing or is a Unicode line break. With these, a file name can look
// like another.
func turns(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029
}
