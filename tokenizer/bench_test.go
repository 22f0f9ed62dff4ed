package tokenizer

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
)

// prose generates text whose words have about the lengths and frequencies of
// English words, always the same.
func prose(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	const letters = "eeeeeetttttaaaaooooiiinnnssshhhrrrddlluucmwfgypbvk"
	words := make([]string, 30000)
	for i := range words {
		w := make([]byte, 2+r.IntN(3)+i*i%7)
		for j := range w {
			w[j] = letters[r.IntN(len(letters))]
		}
		words[i] = string(w)
	}
	zipf := rand.NewZipf(r, 1.2, 20, uint64(len(words)-1))
	var b bytes.Buffer
	for n := 1; b.Len() < size; n++ {
		b.WriteString(words[zipf.Uint64()])
		switch {
		case n%97 == 0:
			fmt.Fprintf(&b, " %d.\n\n", r.IntN(3000))
		case n%11 == 0:
			b.WriteString(", ")
		case n%17 == 0:
			b.WriteString(".\nThe ")
		case n%31 == 0:
			b.WriteString("'s ")
		default:
			b.WriteByte(' ')
		}
	}
	return b.Bytes()[:size]
}

func trainOn(t testing.TB, vocab int, texts ...[]byte) *Tokenizer {
	t.Helper()
	tok, err := TrainBPE(context.Background(), slices.Values(texts), vocab, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// encodeEach measures encoding docs on one core; every turn encodes each once.
func encodeEach(b *testing.B, tok *Tokenizer, docs [][]byte) {
	size := 0
	for _, d := range docs {
		size += len(d)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var ids []int32
	for b.Loop() {
		for _, d := range docs {
			ids = tok.AppendEncode(ids[:0], d)
		}
	}
}

// BenchmarkEncode encodes generated text, with raw bytes and with BPE trained on it.
func BenchmarkEncode(b *testing.B) {
	text := prose(4 << 20)
	b.Run("tokenizer=bytes", func(b *testing.B) { encodeEach(b, Bytes(), [][]byte{text}) })
	b.Run("tokenizer=bpe8k", func(b *testing.B) { encodeEach(b, trainOn(b, 8192, text), [][]byte{text}) })
}

// BenchmarkEncodeLong encodes one very long word, which needs mergeLong.
func BenchmarkEncodeLong(b *testing.B) {
	tok := trainOn(b, 2048, prose(1<<20))
	text := bytes.ReplaceAll(prose(1<<20), []byte(" "), nil)
	text = slices.DeleteFunc(text, func(c byte) bool { return c < 'a' || c > 'z' })
	encodeEach(b, tok, [][]byte{text})
}

// BenchmarkGoldenEncodeWikitext encodes the WikiText-103 test set.
func BenchmarkGoldenEncodeWikitext(b *testing.B) {
	docs := wikitext(b)
	b.Run("tokenizer=bpe4k", func(b *testing.B) { encodeEach(b, trainOn(b, 4096, docs...), docs) })
	b.Run("tokenizer=llama3", func(b *testing.B) { encodeEach(b, goldenLlama3(b), docs) })
}

// BenchmarkGoldenEncodeCold encodes with Llama 3's tokenizer, with an empty cache.
func BenchmarkGoldenEncodeCold(b *testing.B) {
	docs := wikitext(b)
	tok := goldenLlama3(b)
	b.SetBytes(int64(len(bytes.Join(docs, nil))))
	var ids []int32
	for b.Loop() {
		tok.encoders.free = nil
		for _, d := range docs {
			ids = tok.AppendEncode(ids[:0], d)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	text := prose(4 << 20)
	tok := trainOn(b, 8192, text)
	ids := tok.AppendEncode(nil, text)
	b.SetBytes(int64(len(text)))
	var out []byte
	for b.Loop() {
		out = tok.AppendDecode(out[:0], ids)
	}
}

// BenchmarkTrainBPE learns 8,192 ids from 10 MB.
func BenchmarkTrainBPE(b *testing.B) {
	text := prose(10 << 20)
	var texts iter.Seq[[]byte] = slices.Chunk(text, 100_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := TrainBPE(context.Background(), texts, 8192, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGoldenLoadLlama3(b *testing.B) {
	for b.Loop() {
		goldenLlama3(b)
	}
}
