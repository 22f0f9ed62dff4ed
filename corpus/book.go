package corpus

import (
	"bytes"
	"context"
	_ "embed"
	"iter"

	"github.com/klauspost/compress/zstd"
)

// bookFile is the book as JSON lines, one for each document; see book/README.md.
//
//go:embed book/moby-dick.jsonl.zst
var bookFile []byte

// BookTitle is the Source of the book's documents.
const BookTitle = "Moby-Dick"

// Book yields the documents of the embedded book, Herman Melville's Moby-Dick: the etymology, the extracts, 135 chapters and
// the epilogue. Their Line is a number, from 1 on.
func Book() iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		r, err := zstd.NewReader(bytes.NewReader(bookFile), zstd.WithDecoderConcurrency(1))
		if err != nil {
			yield(Document{}, err)
			return
		}
		defer r.Close()
		err = readLines(context.Background(), r, BookTitle, DefaultField, func(d Document) error {
			if !yield(d, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(Document{}, err)
		}
	}
}
