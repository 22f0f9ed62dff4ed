package bench

import (
	"context"

	"github.com/calm-go/calm/run"
)

// AllOptions are the options of All.
type AllOptions struct {
	Options
	Quick bool   // measure only the smallest sizes
	Data  string // see TokenizerOptions.Data
}

// part is one of the measurements of All.
type part struct {
	kind    string // the first word of its results' names
	check   func() error
	measure func(context.Context) error
}

// Kinds lists the kinds of measurements, in the order in which All makes them.
func Kinds() []string {
	var kinds []string
	for _, p := range (AllOptions{}).parts() {
		if len(kinds) == 0 || kinds[len(kinds)-1] != p.kind {
			kinds = append(kinds, p.kind)
		}
	}
	return kinds
}

// All makes a few measurements of every kind. It checks the options of all of them first.
func All(ctx context.Context, o AllOptions) error {
	parts := o.parts()
	for _, p := range parts {
		if err := p.check(); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if err := p.measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (o AllOptions) parts() []part {
	gemm := GemmOptions{Options: o.Options, Cube: 1024}
	train := TrainOptions{Options: o.Options}
	generation := GenerateOptions{Options: o.Options, Prompt: 256, Temperature: 1}
	scores := BrierOptions{Options: o.Options, Model: run.LM, Presets: []string{"lm-bytes"}, Set: []string{"patch_size=2"}, Blocks: 2, Tokens: 512}
	tokenizers := TokenizerOptions{Options: o.Options, Vocab: 4096, Data: o.Data}
	if o.Quick {
		gemm.Cube = 128
		train.Presets, train.Batch, train.Tokens = []string{"lm-bytes", "ae-bytes"}, 2, 64
		generation.Presets, generation.Prompt = []string{"lm-bytes"}, 32
		scores.Blocks, scores.Tokens = 1, 32
		tokenizers.Vocab = 300
	}
	served := ServeOptions{GenerateOptions: generation, Streams: []int{1, 8}, Tokens: 128}
	served.Presets, served.Prompt = []string{"lm-bytes"}, 16
	half := generation
	half.Temperature = .5
	return []part{
		{"gemm", func() error { _, err := gemm.products(); return err }, func(ctx context.Context) error { return Gemm(ctx, gemm) }},
		{"train", func() error { _, err := train.models(); return err }, func(ctx context.Context) error { return Train(ctx, train) }},
		{"generate", generation.check, func(ctx context.Context) error { return Generate(ctx, generation) }},
		{"generate", half.check, func(ctx context.Context) error { return Generate(ctx, half) }},
		{"serve", served.check, func(ctx context.Context) error { return Serve(ctx, served) }},
		{"brier", func() error { _, err := scores.models(); return err }, func(ctx context.Context) error { return Brier(ctx, scores) }},
		{"tokenizer", tokenizers.check, func(ctx context.Context) error { return Tokenizer(ctx, tokenizers) }},
	}
}
