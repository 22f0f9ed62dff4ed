package tokenizer

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer changes text before it is cut into words.
type normalizer interface {
	// normalize returns the normalized text, which may be text itself. It does not change text.
	normalize(text []byte) []byte
}

// A formNormalizer brings text into a Unicode normalization form.
type formNormalizer struct{ norm.Form }

func (n formNormalizer) normalize(text []byte) []byte {
	if n.IsNormal(text) {
		return text
	}
	return n.Bytes(text)
}

// lowercase makes every character lower case by itself, as Unicode's full mapping does without regard to its neighbours.
type lowercase struct{}

func (lowercase) normalize(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, text[i])
		case r == 'İ':
			out = append(out, "i\u0307"...) // the only character whose lower case is two
		default:
			out = utf8.AppendRune(out, unicode.ToLower(r))
		}
		i += n
	}
	return out
}

// prepend puts a text in front of every text that is not empty.
type prepend struct{ text string }

func (n prepend) normalize(text []byte) []byte {
	if len(text) == 0 {
		return text
	}
	return append([]byte(n.text), text...)
}

// replace replaces a text by another.
type replace struct{ old, new string } // old is not empty

func (n replace) normalize(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte(n.old), []byte(n.new))
}

// normalizers returns the normalizers of a tokenizer.json.
func normalizersOf(stages []*hfStage) (all []normalizer, err error) {
	for _, s := range stages {
		switch s.Type {
		case "NFC":
			all = append(all, formNormalizer{norm.NFC})
		case "NFD":
			all = append(all, formNormalizer{norm.NFD})
		case "NFKC":
			all = append(all, formNormalizer{norm.NFKC})
		case "NFKD":
			all = append(all, formNormalizer{norm.NFKD})
		case "Lowercase":
			all = append(all, lowercase{})
		case "Prepend":
			all = append(all, prepend{s.Prepend})
		case "Replace":
			if s.Pattern.String == "" {
				return nil, fmt.Errorf("normalizer Replace: only a string can be replaced, not a regular expression")
			}
			all = append(all, replace{s.Pattern.String, s.Content})
		default:
			return nil, fmt.Errorf("normalizer %s is not supported, only NFC, NFD, NFKC, NFKD, Lowercase, Prepend and Replace", names(stages))
		}
	}
	return all, nil
}

// losses says what the normalizers lose; "" if nothing.
func lossOf(n normalizer) string {
	switch n := n.(type) {
	case formNormalizer:
		return map[norm.Form]string{norm.NFC: "NFC", norm.NFD: "NFD", norm.NFKC: "NFKC", norm.NFKD: "NFKD"}[n.Form] + " replaces characters by equivalent ones"
	case lowercase:
		return "capital letters become small"
	case prepend:
		return fmt.Sprintf("%q is put before a text", n.text)
	case replace:
		return fmt.Sprintf("%q and %q become the same", n.old, n.new)
	}
	return ""
}
