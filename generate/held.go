package generate

import (
	"bytes"
	"slices"

	"github.com/calm-go/calm/tokenizer"
)

// held turns tokens into text, and holds back what is not certain: the bytes of a character that is not complete, and with
// stop texts what may be the beginning of one.
type held struct {
	stream *tokenizer.Stream // nil without a tokenizer
	stops  [][]byte

	// With stop texts:
	text   []byte    // held back, whole characters
	tokens []int32   // held back
	shares []float64 // of these tokens, if there are any
	ends   []int     // of each of these tokens: where its bytes end, counted from the beginning of text
	begin  int       // where the bytes of the first of these tokens begin; below 0 if some of them are not held back
}

// newHeld holds back nothing yet. tok is nil where text is ids. The tokens come after a prompt.
func newHeld(tok *tokenizer.Tokenizer, stops []string, prompt []int32) *held {
	h := &held{}
	for _, stop := range stops {
		h.stops = append(h.stops, []byte(stop))
	}
	if tok != nil {
		h.stream = tok.NewStream()
		h.stream.Skip(prompt...)
	}
	return h
}

// add takes the tokens of a further patch, and returns what is certain by now. It reports whether a stop text ends the text; then what is
// returned is the last of it.
func (h *held) add(c Chunk) (certain Chunk, stopped bool) {
	if h.stream == nil {
		return c, false
	}
	if len(h.stops) == 0 {
		c.Text = string(h.stream.Append(nil, c.Tokens...))
		return c, false
	}
	seen := len(h.text)
	h.shares = append(h.shares, c.Shares...)
	for _, id := range c.Tokens {
		h.text = h.stream.Append(h.text, id)
		h.tokens, h.ends = append(h.tokens, id), append(h.ends, len(h.text)+h.stream.Held())
	}
	if at, found := h.find(seen); found {
		return h.cut(at), true
	}
	size, n := len(h.text)-h.beginning(), 0
	for n < len(h.ends) && h.ends[n] <= size {
		n++
	}
	return h.take(size, n), false
}

// flush returns all that is held back.
func (h *held) flush() Chunk {
	if h.stream == nil {
		return Chunk{}
	}
	h.text = h.stream.Flush(h.text)
	return h.take(len(h.text), len(h.tokens))
}

// cut returns the text before a stop text that begins at a byte, with all tokens that have a part in it.
func (h *held) cut(at int) Chunk {
	n := 0
	for begin := h.begin; n < len(h.ends) && begin < at; n++ {
		begin = h.ends[n]
	}
	return h.take(at, n)
}

// take returns the first size bytes of the text, and the first n tokens. They are held back no longer.
func (h *held) take(size, n int) Chunk {
	c := Chunk{Tokens: slices.Clone(h.tokens[:n]), Text: string(h.text[:size])}
	if len(h.shares) > 0 {
		c.Shares = slices.Clone(h.shares[:n])
		h.shares = slices.Delete(h.shares, 0, n)
	}
	if n > 0 {
		h.begin = h.ends[n-1]
	}
	h.text, h.tokens, h.ends = slices.Delete(h.text, 0, size), slices.Delete(h.tokens, 0, n), slices.Delete(h.ends, 0, n)
	for i := range h.ends {
		h.ends[i] -= size
	}
	h.begin -= size
	return c
}

// find returns where the stop text begins that ends first behind the first seen bytes; of several that end there, the
// longest. So it does not matter in which pieces the text comes.
func (h *held) find(seen int) (at int, found bool) {
	for end := seen + 1; end <= len(h.text); end++ {
		longest := 0
		for _, stop := range h.stops {
			if len(stop) > longest && bytes.HasSuffix(h.text[:end], stop) {
				longest = len(stop)
			}
		}
		if longest > 0 {
			return end - longest, true
		}
	}
	return 0, false
}

// beginning returns how many bytes at the end of the text may be the beginning of a stop text.
func (h *held) beginning() (n int) {
	for _, stop := range h.stops {
		for l := min(len(stop)-1, len(h.text)); l > n; l-- {
			if bytes.HasSuffix(h.text, stop[:l]) {
				n = l
			}
		}
	}
	return n
}
