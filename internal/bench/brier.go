package bench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// BrierOptions say what to measure BrierLM of.
type BrierOptions struct {
	Options
	Run     string   // a run of a language model or a baseline, or "" for presets with random weights
	Model   run.Kind // lm or ar, where a preset's name does not say
	Presets []string // none for defaultBrier
	Set     []string // key=value
	Blocks  int      // of text
	Tokens  int      // of a block
}

// brierPreset is a preset with settings.
type brierPreset struct {
	kind run.Kind
	name string
	set  []string
}

// defaultBrier is what Brier measures unasked.
var defaultBrier = []brierPreset{{run.LM, "lm-bytes", []string{"patch_size=1"}}, {run.LM, "lm-bytes", []string{"patch_size=2"}}, {run.AR, "ar-bytes", nil}}

// Brier measures an evaluation on the embedded book of models that draw further patches behind their samples, all
// positions at once, beside loops that take one position after another. The loops draw and score the same, from other
// random numbers, and leave the energy loss out.
//
// How many further patches are drawn depends on what a model has learned. A new language model's samples are all alike,
// which makes as many as there can be; a new baseline's hardly ever are.
func Brier(ctx context.Context, o BrierOptions) error {
	models, err := o.models()
	if err != nil {
		return err
	}
	eng := o.engine(o.Threads)
	defer eng.Close()
	for _, m := range models {
		if o.Run == "" {
			m.randomize()
		}
		if err := o.measure(ctx, eng, m); err != nil {
			if stopped := ended(ctx); stopped != nil {
				return stopped
			}
			return fmt.Errorf("bench brier %s: %w", m.name, err)
		}
		*m = model{} // its weights are not needed any more
	}
	return nil
}

// models returns what is to be measured: a run's model, or those of presets, which have no weights yet.
func (o BrierOptions) models() ([]*model, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	switch {
	case o.Blocks < 1:
		return nil, usage("--blocks %d: want 1 or more", o.Blocks)
	case o.Run != "" && (o.Model != "" || len(o.Presets) > 0 || len(o.Set) > 0):
		return nil, usage("--model, --preset and --set are for random weights: leave them out with the run %s", o.Run)
	}
	var list []*model
	if o.Run != "" {
		r, err := run.Open(o.Run) // until the program ends
		if err != nil {
			return nil, err
		}
		list = append(list, &model{Model: r, name: filepath.Base(o.Run)})
	} else {
		for _, p := range o.presets() {
			set := append([]string{fmt.Sprintf("block_size=%d", o.Tokens)}, p.set...) // the preset's may be no whole patches
			m, err := newModel(p.name, p.kind, false, set)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	for _, m := range list {
		if err := o.check(m); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (o BrierOptions) presets() []brierPreset {
	if len(o.Presets) == 0 && len(o.Set) == 0 {
		return defaultBrier
	}
	names := o.Presets
	if len(names) == 0 {
		names = []string{defaultBrier[0].name}
	}
	var list []brierPreset
	for _, name := range names {
		list = append(list, brierPreset{o.Model, name, o.Set})
	}
	return list
}

// check reports a model that cannot be measured.
func (o BrierOptions) check(m *model) error {
	patch, vocab := m.Layout().PatchSize, m.VocabSize()
	if !m.Writes() {
		return usage("bench brier: %s is of kind %s, want a language model (lm) or a baseline (ar)", m.name, m.Kind)
	}
	text := tokenizer.Bytes().VocabSize()
	switch {
	case patch >= brier.N:
		return usage("bench brier: %s has patches of %s, and nothing is drawn after them: choose fewer than %d, such as with --set patch_size=2", m.name, plural.Count(patch, "token"), brier.N)
	case vocab < text:
		return usage("bench brier: %s has a vocabulary of %s, the text's bytes are %d", m.name, plural.Count(vocab, "token"), text)
	case o.Tokens%patch != 0 || o.Tokens < patch+2*brier.N:
		return usage("--tokens %d: want a multiple of the patch size %d, and %d or more", o.Tokens, patch, patch+2*brier.N)
	}
	return nil
}

func (o BrierOptions) measure(ctx context.Context, eng *cpu.Engine, m *model) error {
	blocks, err := o.text(ctx, m)
	if err != nil {
		return err
	}
	together, err := evaluator(eng, m, blocks, eval.Options{Seed: 1, MaxBlocks: o.Blocks})
	if err != nil {
		return err
	}
	var scores scored
	all := &series{run: func() (err error) { scores, err = together(ctx); return err }}
	loops := [2]*series{}
	for i, reread := range []bool{true, false} {
		l := newLoop(eng, m, o.Tokens, reread)
		loops[i] = &series{run: func() error { _, err := l.run(ctx, blocks, o.Blocks); return err }}
	}
	if err := measure(ctx, o.duration(), all, loops[0], loops[1]); err != nil {
		return err
	}
	patch := m.Layout().PatchSize
	r := all.result("brier/"+m.name, fmt.Sprintf("K=%d, %dx%d", patch, o.Blocks, o.Tokens), eng.Threads(), eng.ISA().String())
	r.TokensPerS = float64(o.Blocks*o.Tokens) / r.MSMedian * 1e3
	r.LoopMS, r.CachedLoopMS = median(loops[0].times), median(loops[1].times)
	r.Speedup, r.OverCachedLoop = r.LoopMS/r.MSMedian, r.CachedLoopMS/r.MSMedian
	for _, n := range scores.rollouts {
		r.Rollouts += float64(n) / float64(scores.Positions)
	}
	o.Emit(r)
	return nil
}

// text is the book's bytes in blocks.
func (o BrierOptions) text(ctx context.Context, m *model) (*corpus.Blocks, error) {
	c, err := corpus.Tokenize(ctx, corpus.Book(), tokenizer.Bytes())
	if err != nil {
		return nil, err
	}
	blocks, err := c.All().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: m.Layout().PatchSize, BlockSize: o.Tokens})
	if err == nil && blocks.Len() < int64(o.Blocks) {
		return nil, usage("--blocks %d: the book has %d of %s", o.Blocks, blocks.Len(), plural.Count(o.Tokens, "token"))
	}
	return blocks, err
}

// scored is what an evaluation finds.
type scored struct {
	brier.Result
	rollouts []int
}

// evaluator returns an evaluation of a model that writes.
func evaluator(eng *cpu.Engine, m *model, blocks *corpus.Blocks, o eval.Options) (func(context.Context) (scored, error), error) {
	measure, err := m.Network.Evaluator(eng, blocks, o)
	return func(ctx context.Context) (scored, error) {
		r, err := measure(ctx)
		switch r := r.(type) {
		case lm.Measurement:
			return scored{r.Result, r.Rollouts}, err
		case ar.Measurement:
			return scored{r.Result, r.Rollouts}, err
		}
		return scored{}, err
	}, err
}
