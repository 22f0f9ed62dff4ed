package testkit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/tokenizer"
)

// Letters returns the blocks of seven documents of letters that are not entirely random, as bytes: size tokens a block, in patches
// of patch tokens.
func Letters(t testing.TB, kind corpus.Kind, patch, size int) *corpus.Blocks {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for i := range 7 {
		b := make([]byte, 90+10*i)
		for j := range b {
			b[j] = 'a' + byte(min(rng.IntN(9), rng.IntN(9)))
		}
		texts = append(texts, string(b))
	}
	return blocksOf(t, texts, kind, patch, size)
}

// Repeated returns the blocks of a word repeated n times, as bytes. If size is a multiple of the word's length, all blocks but the
// first are equal.
func Repeated(t testing.TB, word string, n int, kind corpus.Kind, patch, size int) *corpus.Blocks {
	t.Helper()
	return blocksOf(t, []string{strings.Repeat(word, n)}, kind, patch, size)
}

func blocksOf(t testing.TB, texts []string, kind corpus.Kind, patch, size int) *corpus.Blocks {
	t.Helper()
	c, err := corpus.Tokenize(t.Context(), corpus.Texts(slices.Values(texts)), tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.All().Blocks(corpus.Layout{Kind: kind, PatchSize: patch, BlockSize: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// IDs returns the ids of all blocks, [blocks, T].
func IDs(t testing.TB, b *corpus.Blocks) []int32 {
	t.Helper()
	ids := make([]int32, int(b.Len())*b.Layout().BlockSize)
	if rows, err := b.Fill(0, ids); err != nil || int64(rows) != b.Len() {
		t.Fatal(fmt.Errorf("%d of %d blocks: %w", rows, b.Len(), err))
	}
	return ids
}

// Exact compares measurements bit for bit. Scores that are not measurable are equal.
var Exact = cmp.Options{
	cmp.Transformer("percent", func(p brier.Percent) float64 { return float64(p) }),
	cmpopts.EquateNaNs(),
}

// Untimed compares measurements without their times, and up to rounding.
var Untimed = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seconds" }, cmp.Ignore()),
	cmpopts.EquateApprox(1e-5, 1e-6),
	Exact,
}
