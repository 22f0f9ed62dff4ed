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

// BrierOptions are the options of Brier.
type BrierOptions struct {
	Options
	Run     string   // directory of a language model's or a baseline's run; "" for presets with random weights
	Model   run.Kind // lm or ar, if both kinds have a preset of that name; else ""
	Presets []string // names of presets; none for defaultBrier
	Set     []string // key=value assignments to the presets' keys
	Blocks  int      // blocks of text, 1 or more
	Tokens  int      // tokens of a block
}

// brierPreset is a preset with settings.
type brierPreset struct {
	kind run.Kind
	name string
	set  []string
}

// defaultBrier lists the presets that Brier measures by default.
var defaultBrier = []brierPreset{{run.LM, "lm-bytes", []string{"patch_size=1"}}, {run.LM, "lm-bytes", []string{"patch_size=2"}}, {run.AR, "ar-bytes", nil}}

// Brier measures the evaluation of BrierLM on the embedded book, for models whose evaluation draws further patches after two
// equal samples (docs/spec.md, section 4). The evaluation handles many positions at once. Brier compares it with two loops that
// handle one position at a time. The loops estimate the same scores with other random numbers, and do not compute the energy
// loss.
//
// The number of further patches depends on what a model has learned. The samples of an untrained language model are all equal,
// which gives the maximum. Those of an untrained baseline are rarely equal.
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
		*m = model{} // frees its weights
	}
	return nil
}

// models returns the models to measure: that of a run, or those of presets, which have no weights yet.
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
		r, err := run.Open(o.Run) // never closed: the process ends after the measurement
		if err != nil {
			return nil, err
		}
		list = append(list, &model{Model: r, name: filepath.Base(o.Run)})
	} else {
		for _, p := range o.presets() {
			set := append([]string{fmt.Sprintf("block_size=%d", o.Tokens)}, p.set...) // the preset's block_size may not be a multiple of the patch size
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

// check returns a *run.UsageError for a model that cannot be measured.
func (o BrierOptions) check(m *model) error {
	patch, vocab := m.Layout().PatchSize, m.VocabSize()
	if !m.Writes() {
		return usage("bench brier: %s is of kind %s, want a language model (lm) or a baseline (ar)", m.name, m.Kind)
	}
	text := tokenizer.Bytes().VocabSize()
	switch {
	case patch >= brier.N:
		return usage("bench brier: %s has patches of %s, after which nothing is drawn: choose fewer than %d, such as with --set patch_size=2", m.name, plural.Count(patch, "token"), brier.N)
	case vocab < text:
		return usage("bench brier: %s has a vocabulary of %s, but the text needs %d", m.name, plural.Count(vocab, "token"), text)
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

// text returns the bytes of the embedded book in blocks.
func (o BrierOptions) text(ctx context.Context, m *model) (*corpus.Blocks, error) {
	c, err := corpus.Tokenize(ctx, corpus.Book(), tokenizer.Bytes())
	if err != nil {
		return nil, err
	}
	blocks, err := c.All().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: m.Layout().PatchSize, BlockSize: o.Tokens})
	if err == nil && blocks.Len() < int64(o.Blocks) {
		return nil, usage("--blocks %d: the book has only %s of %s", o.Blocks, plural.Count(int(blocks.Len()), "block"), plural.Count(o.Tokens, "token"))
	}
	return blocks, err
}

// scored is the result of an evaluation.
type scored struct {
	brier.Result
	rollouts []int
}

// evaluator returns the evaluation of a language model or a baseline.
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
