package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/calm-go/calm/tokenizer"
)

func BenchmarkNext(b *testing.B) {
	c := mustTokenize(b, bookTexts(b)...)
	for _, s := range []struct{ batch, tokens int }{{4, 128}, {8, 512}, {1, 8192}} {
		for _, kind := range []Kind{Language, Autoencoder} {
			b.Run(fmt.Sprintf("kind=%s/batch=%dx%d", kind, s.batch, s.tokens), func(b *testing.B) {
				blocks, err := c.Train().Blocks(Layout{kind, 4, s.tokens})
				if err != nil {
					b.Fatal(err)
				}
				batches, err := blocks.Shuffled(1, s.batch)
				if err != nil {
					b.Fatal(err)
				}
				dst := make([]int32, s.batch*s.tokens)
				b.ReportAllocs()
				for b.Loop() {
					if err := batches.Next(dst); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(dst))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
			})
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	book := bookTexts(b)
	bpe, err := trainBPE(4096, book...)
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	size := 0
	for i := range 20 {
		for _, text := range book {
			texts = append(texts, fmt.Sprint(i, text))
			size += len(text)
		}
	}
	for name, tok := range map[string]*tokenizer.Tokenizer{"bytes": bytesTokenizer, "bpe4096": bpe} {
		b.Run("tokenizer="+name, func(b *testing.B) {
			b.SetBytes(int64(size))
			i := 0
			dir := b.TempDir()
			for b.Loop() {
				i++
				c, err := Prepare(context.Background(), given(texts...), tok, filepath.Join(dir, fmt.Sprint(i)), PrepareOptions{})
				if err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	}
}

func BenchmarkReadLines(b *testing.B) {
	var lines bytes.Buffer
	for _, text := range bookTexts(b) {
		json.NewEncoder(&lines).Encode(map[string]any{"text": text, "id": 17})
	}
	b.SetBytes(int64(lines.Len()))
	for b.Loop() {
		if err := readLines(context.Background(), bytes.NewReader(lines.Bytes()), "bench", DefaultField, func(Document) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
