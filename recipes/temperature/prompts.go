package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/tokenizer"
)

const (
	promptBytes = 40 // of a prompt at least: it ends with the word that this byte is in
	wordBytes   = 20 // room for that word, and for the one that the block begins in
)

// passage is a prompt of held-out text, and how the text goes on: with the white space between two words.
type passage struct{ prompt, text []byte }

// passages returns n passages of the book's held-out text, spread evenly over it, whose text has that many bytes. None has the
// end of a document in it.
func passages(ctx context.Context, n, size int) ([]passage, error) {
	book, err := corpus.Load(ctx, tokenizer.Bytes(), corpus.Source{})
	if err != nil {
		return nil, err
	}
	defer book.Close()
	layout := corpus.Layout{Kind: corpus.Language, PatchSize: 1, BlockSize: wordBytes + promptBytes + wordBytes + size}
	blocks, err := book.HeldOut().Blocks(layout)
	if err != nil {
		return nil, err
	}
	var list []passage
	ids, next := make([]int32, layout.BlockSize), int64(0)
	for i := range n {
		for at := max(next, int64(i)*blocks.Len()/int64(n)); len(list) == i; at++ {
			if at >= blocks.Len() {
				return nil, fmt.Errorf("the held-out text has fewer than %d passages of %d bytes", n, layout.BlockSize)
			}
			if _, err := blocks.Fill(at, ids); err != nil {
				return nil, err
			}
			if p, ok := cut(ids, size); ok {
				list, next = append(list, p), at+1
			}
		}
	}
	return list, nil
}

// cut returns the passage of a block of bytes, if it has one.
func cut(ids []int32, size int) (passage, bool) {
	block := make([]byte, len(ids))
	for i, id := range ids {
		if id > 0xff { // BOS
			return passage{}, false
		}
		block[i] = byte(id)
	}
	const space = " \n"
	start := bytes.IndexAny(block[:wordBytes], space) + 1
	end := bytes.IndexAny(block[start+promptBytes:len(block)-size], space)
	if start == 0 || end < 0 {
		return passage{}, false
	}
	end += start + promptBytes
	return passage{block[start:end], block[end : end+size]}, true
}
