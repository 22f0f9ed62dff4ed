package tokenizer

import (
	"bytes"
	"fmt"
)

// Losses says in which ways a text that is encoded and decoded may change: nothing if it always comes back byte for byte.
// Literals of special tokens are not meant, which are these tokens only for [Tokenizer.TakingLiterals].
func (t *Tokenizer) Losses() (all []string) {
	for _, n := range t.normalizers {
		all = append(all, lossOf(n))
	}
	for _, s := range t.stages {
		if s.prefix != "" {
			all = append(all, "a space is put before a text")
		}
		if s.replaces {
			all = append(all, fmt.Sprintf("spaces and %q become the same", metaspace))
		}
	}
	if t.decoder.spaces {
		all = append(all, fmt.Sprintf("%q becomes a space", metaspace))
	}
	if t.decoder.strip || t.decoder.dropAll {
		all = append(all, "a space at the beginning of a text is dropped")
	}
	for _, a := range t.added {
		switch {
		case a.special && t.made(a.id):
			all = append(all, fmt.Sprintf("%q in a text is dropped: it is a special token", a.content))
		case a.special:
		case a.lstrip || a.rstrip:
			all = append(all, fmt.Sprintf("spaces beside %q are dropped (lstrip, rstrip)", a.content))
		case !bytes.Equal(t.bytes(a.id), []byte(a.content)):
			all = append(all, fmt.Sprintf("%q becomes other bytes, which it stands for in the byte-level alphabet", a.content))
		}
	}
	return all
}
