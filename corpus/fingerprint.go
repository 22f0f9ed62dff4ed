package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/calm-go/calm/tokenizer"
)

// A Fingerprint tells whether two things are the same: tokenizers, or data.
type Fingerprint [sha256.Size]byte

// String returns it in hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Fingerprint) UnmarshalText(text []byte) error {
	if len(text) != 2*len(f) {
		return fmt.Errorf("a fingerprint has %d hexadecimal digits, not %d", 2*len(f), len(text))
	}
	_, err := hex.Decode(f[:], text)
	return err
}

// probe has words, numbers, contractions, line breaks, several scripts and bytes
// that are no text: tokenizers with the same tokens that cut or merge in different
// ways differ on it.
const probe = "It's 1234567 o'clock,\tWE'LL  see:\n\n  \"naïve\" façade—coöperation…\r\n" +
	"'tisn't; x_y=f(3.14)*{a[0]}//end   \n\tдва слова 汉字假名かな العربية हिन्दी 🐋‍🌊 e\u0301\u00a0\u2003z\n" +
	"supercalifragilisticexpialidocious THE WHALE! ¿Qué? 0x7f 12,345.678\x00\xff\xfe\xc3("

// TokenizerFingerprint identifies a tokenizer by its tokens, its special ids and
// what it makes of a sample of text.
func TokenizerFingerprint(tok *tokenizer.Tokenizer) Fingerprint {
	h := sha256.New()
	var word [9]byte
	number := func(n int32, flag bool) {
		binary.LittleEndian.PutUint64(word[:], uint64(n))
		word[8] = 0
		if flag {
			word[8] = 1
		}
		h.Write(word[:])
	}
	number(int32(tok.VocabSize()), false)
	number(tok.BOS(), false)
	number(tok.EOS(), false)
	number(tok.PAD(), false)
	for id := range int32(tok.VocabSize()) {
		token := tok.Token(id)
		number(int32(len(token)), tok.IsSpecial(id))
		h.Write(token)
	}
	for _, id := range tok.AppendEncode(nil, []byte(probe)) {
		number(id, false)
	}
	return Fingerprint(h.Sum(nil))
}
