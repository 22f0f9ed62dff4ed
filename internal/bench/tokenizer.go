package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/tokenizer"
)

// TokenizerOptions are the options of Tokenizer.
type TokenizerOptions struct {
	Options
	Vocab int    // size of the vocabulary of the trained tokenizer, tokenizer.MinVocab to tokenizer.MaxVocab
	Data  string // directory with llama3/tokenizer.model; "" not to measure that tokenizer
}

// Tokenizer measures encoding and decoding the embedded book, one document at a time, on one thread. It measures raw bytes,
// byte-level BPE trained on the book, and Llama 3's tokenizer if its file exists.
func Tokenizer(ctx context.Context, o TokenizerOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	docs, err := book()
	if err != nil {
		return fmt.Errorf("bench tokenizer: %w", err)
	}
	if err := o.measure(ctx, "bytes", tokenizer.Bytes(), docs); err != nil {
		return err
	}
	trained, err := tokenizer.TrainBPE(ctx, slices.Values(docs), o.Vocab, nil)
	if stopped := ended(ctx); stopped != nil {
		return stopped
	}
	if err != nil {
		return fmt.Errorf("bench tokenizer: %w", err)
	}
	if err := o.measure(ctx, "bpe", trained, docs); err != nil {
		return err
	}
	if o.Data == "" {
		return nil
	}
	path := filepath.Join(o.Data, "llama3", "tokenizer.model")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	llama, err := tokenizer.LoadLlama3(path)
	if err != nil {
		return fmt.Errorf("bench tokenizer: %w", err)
	}
	return o.measure(ctx, "llama3", llama, docs)
}

func (o TokenizerOptions) check() error {
	if err := o.Validate(); err != nil {
		return err
	}
	if o.Vocab < tokenizer.MinVocab || o.Vocab > tokenizer.MaxVocab {
		return usage("--vocab %d: want %d (the bytes and three special tokens) to %d", o.Vocab, tokenizer.MinVocab, tokenizer.MaxVocab)
	}
	return nil
}

// book returns the texts of the embedded book.
func book() ([][]byte, error) {
	var docs [][]byte
	for d, err := range corpus.Book() {
		if err != nil {
			return nil, err
		}
		docs = append(docs, bytes.Clone(d.Text))
	}
	return docs, nil
}

// measure measures a tokenizer. A run encodes or decodes all documents.
func (o TokenizerOptions) measure(ctx context.Context, name string, t *tokenizer.Tokenizer, docs [][]byte) error {
	size, tokens := 0, 0
	ids := make([][]int32, len(docs))
	for i, d := range docs {
		ids[i] = t.AppendEncode(nil, d)
		if !bytes.Equal(t.AppendDecode(nil, ids[i]), d) {
			return fmt.Errorf("bench tokenizer: %s: encoding and decoding changes document %d", name, i+1)
		}
		size += len(d)
		tokens += len(ids[i])
	}
	var encoded []int32
	var decoded []byte
	encode := &series{run: func() error {
		for _, d := range docs {
			encoded = t.AppendEncode(encoded[:0], d)
		}
		return nil
	}}
	decode := &series{run: func() error {
		for _, d := range ids {
			decoded = t.AppendDecode(decoded[:0], d)
		}
		return nil
	}}
	if err := measure(ctx, o.duration(), encode, decode); err != nil {
		return err
	}
	shape := fmt.Sprintf("%s, %s of %d", plural.Count(size, "byte"), plural.Count(tokens, "token"), t.VocabSize())
	for _, s := range []struct {
		*series
		name string
	}{{encode, "encode"}, {decode, "decode"}} {
		// Tokenizers run on one thread, in portable Go.
		r := s.result("tokenizer/"+s.name+"/"+name, shape, 1, kernel.Portable.String())
		r.MBPerS = float64(size) / r.MSMedian / 1e3
		r.TokensPerS = float64(tokens) / r.MSMedian * 1e3
		o.Emit(r)
	}
	return nil
}
