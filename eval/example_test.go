package eval_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/tokenizer"
)

// This scores the baselines on held-out text, at the positions where a language model with patches of 4 tokens is scored.
func ExampleUnigram() {
	ctx := context.Background()
	text := strings.Repeat("on the sea ", 100)
	c, err := corpus.Tokenize(ctx, corpus.Texts(slices.Values([]string{text})), tokenizer.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	layout := corpus.Layout{Kind: corpus.Language, PatchSize: 4, BlockSize: 16}
	heldOut, err := c.HeldOut().Blocks(layout)
	if err != nil {
		log.Fatal(err)
	}
	layout.PatchSize = 1 // the unigram model predicts tokens
	train, err := c.Train().Blocks(layout)
	if err != nil {
		log.Fatal(err)
	}
	r, err := eval.Unigram(ctx, train, heldOut, tokenizer.Bytes().VocabSize(), 4, eval.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d positions in %d blocks\n", r.Unigram.Positions, r.Unigram.Blocks)
	fmt.Printf("Brier-1 of the unigram %.1f, of the uniform model %.1f\n", r.Unigram.Brier[0], r.Uniform.Brier[0])
	// Output:
	// 9 positions in 3 blocks
	// Brier-1 of the unigram 16.6, of the uniform model 0.4
}

// Blocks of 16 tokens have 4 patches of 4 tokens. The first is not predicted, so 3 windows are scored. Patches of 3 tokens
// are shorter than the n-grams of BrierLM: a window begins with each of 4 patches that have another one after them.
func ExampleExtentOf() {
	fmt.Printf("%+v\n", eval.ExtentOf(4, 16, false))
	fmt.Printf("%+v\n", eval.ExtentOf(3, 18, false))
	// Output:
	// {Patch:4 Further:0 Windows:3}
	// {Patch:3 Further:1 Windows:4}
}
