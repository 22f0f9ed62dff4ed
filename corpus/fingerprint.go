package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/calm-go/calm/tokenizer"
)

// A Fingerprint is a SHA-256. Two tokenizers, or two corpora, are the same if their fingerprints are equal.
type Fingerprint [sha256.Size]byte

// String returns the fingerprint as 64 hexadecimal digits.
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

// TokenizerFingerprint returns the SHA-256 of the file that a tokenizer writes. Tokenizers with the same fingerprint give the
// same ids.
func TokenizerFingerprint(tok *tokenizer.Tokenizer) Fingerprint {
	return sha256.Sum256(tok.JSON())
}
