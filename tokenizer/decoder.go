package tokenizer

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// A decoder says how the tokens of a SentencePiece vocabulary become text. Byte-level tokens are bytes of text already.
type decoder struct {
	spaces   bool // U+2581 becomes a space
	fallback bool // <0x00> to <0xFF> become bytes
	strip    bool // a space at the beginning of the text is dropped
	dropAll  bool // each U+2581 of the first token is dropped
}

// decoderOf reads the decoder of a SentencePiece vocabulary.
func decoderOf(stages []*hfStage) (decoder, error) {
	var d decoder
	rest := stages
	is := func(kind string) bool { return len(rest) > 0 && rest[0].Type == kind }
	if len(stages) == 1 && is("Metaspace") && rest[0].Replacement == string(metaspace) {
		return decoder{spaces: true, dropAll: rest[0].scheme() != "never"}, nil
	}
	if is("Replace") && rest[0].Pattern.String == string(metaspace) && rest[0].Content == " " {
		d.spaces, rest = true, rest[1:]
	}
	if is("ByteFallback") {
		d.fallback, rest = true, rest[1:]
	}
	if is("Fuse") {
		rest = rest[1:]
		if is("Strip") && rest[0].Content == " " && rest[0].Stop == 0 && rest[0].Start <= 1 {
			d.strip, rest = rest[0].Start == 1, rest[1:]
		}
	}
	if len(rest) > 0 || !d.spaces {
		return decoder{}, fmt.Errorf("decoder [%s] is not supported, only ByteLevel, Metaspace and the sequence Replace of %q by a space, ByteFallback, Fuse, Strip of one space", names(stages), metaspace)
	}
	return d, nil
}

// show returns the text of a token of a SentencePiece vocabulary.
func (d decoder) show(key string) []byte {
	shown := []byte(key)
	if d.spaces {
		shown = bytes.ReplaceAll(shown, metaspace, []byte{' '})
	}
	if d.fallback {
		if b, is := byteOf(string(shown)); is {
			return []byte{b}
		}
	}
	return shown
}

// byteOf returns the byte that a token such as <0x0A> stands for.
func byteOf(key string) (byte, bool) {
	if len(key) != 6 || key[:3] != "<0x" || key[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(key[3:5], 16, 8)
	return byte(b), err == nil
}

// appendToken appends the text of an id. begun is false before the first token of a text that is not special; it is then
// set.
func (t *Tokenizer) appendToken(dst []byte, id int32, begun *bool) []byte {
	switch {
	case !t.valid(id):
		*begun = true
		return utf8.AppendRune(dst, utf8.RuneError)
	case t.kind[id] == kindSpecial:
		return dst
	}
	shown := t.bytes(id)
	if !*begun {
		*begun = true
		switch {
		case t.decoder.strip:
			shown = bytes.TrimPrefix(shown, []byte{' '})
		case t.decoder.dropAll:
			shown = bytes.ReplaceAll([]byte(t.key(id)), metaspace, nil)
		}
	}
	return append(dst, shown...)
}
