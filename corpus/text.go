package corpus

import (
	"errors"
	"io"
	"iter"

	"github.com/calm-go/calm/tokenizer"
)

// partSize is the largest number of bytes of text that a value in a sequence of documents has inside this package. So memory
// does not grow with the text. A longer text goes on in the next value ([Document.More]).
const partSize = tokenizer.MaxWord

// cutPart returns where a text, of which the first partSize bytes are given, is cut: at the end of a word if there is one, so
// that both sides have the ids of the whole; else within a word, between characters if possible.
func cutPart(text []byte) int {
	if at := tokenizer.Cut(text); at > 0 {
		return at
	}
	return tokenizer.Start(text, len(text)-1)
}

// eachPart calls each with the parts of the text that r reads, and whether the text goes on. Each part has memory of its own.
// A part without bytes is a text without bytes.
func eachPart(r io.Reader, each func(part []byte, more bool) error) error {
	size := 4 << 10 // most texts are short
	var rest []byte
	for {
		buf := make([]byte, size)
		n, err := fill(r, buf, copy(buf, rest))
		switch {
		case errors.Is(err, io.EOF):
			return each(buf[:n:n], false)
		case err != nil:
			return err
		case size < partSize:
			rest, size = buf, min(8*size, partSize)
			continue
		}
		at := cutPart(buf)
		if err := each(buf[:at:at], true); err != nil {
			return err
		}
		rest = buf[at:]
	}
}

// fill reads into buf from n on until it is full. It returns the number of bytes in buf, and io.EOF if the text ended before.
// Unlike io.ReadFull, it returns a reader's own io.ErrUnexpectedEOF, that of a compressed file that is cut off, as it is.
func fill(r io.Reader, buf []byte, n int) (int, error) {
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// inParts cuts long texts into parts.
func inParts(docs iter.Seq2[Document, error]) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for d, err := range docs {
			if err != nil {
				yield(Document{}, err)
				return
			}
			text, from, to := d.Text, d.from, d.to
			at := 0
			for rest := text; len(rest) > partSize; rest = text[at:] {
				n := cutPart(rest[:partSize])
				part := d
				part.Text, part.More = rest[:n:n], true
				at += n
				part.to = share(from, to, int64(at), int64(len(text)))
				d.from, d.again = part.to, nil
				if !yield(part, nil) {
					return
				}
			}
			d.Text = text[at:]
			if !yield(d, nil) {
				return
			}
		}
	}
}

// share returns the place between from and to that is part of whole.
func share(from, to, part, whole int64) int64 {
	if whole == 0 {
		return to
	}
	return from + int64(float64(to-from)*float64(part)/float64(whole))
}
