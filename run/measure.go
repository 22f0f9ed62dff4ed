package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/train"
)

// trainingSigma is the noise under which training measures an autoencoder's accuracy (SPEC section 2).
const trainingSigma = .3

// Names of the figures that training measures.
const (
	Accuracy        = "accuracy"
	AccuracyNoise03 = "accuracy_noise03"
	BrierLM         = "brier_lm"
	Diverged        = "sampler_diverged" // the share of a head's draws that did, where some did
)

// measure makes the measurement on held-out text that training takes every eval_steps.
func (t *Training) measure(layout corpus.Layout) (func(context.Context) ([]train.Figure, error), error) {
	blocks, err := t.corpus.HeldOut().Blocks(layout)
	if err != nil {
		return nil, &UsageError{err}
	}
	o := eval.Options{Seed: t.Seed, MaxBlocks: t.EvalBlocks}
	switch {
	case t.AE != nil:
		return t.measureAE(blocks, o)
	case t.LM != nil:
		return t.measureLM(blocks, o)
	}
	return t.measureAR(blocks, o)
}

func (t *Training) measureAE(blocks *corpus.Blocks, o eval.Options) (func(context.Context) ([]train.Figure, error), error) {
	o.Sigmas = []float64{trainingSigma}
	v, err := eval.NewAE(t.eng, t.AE, blocks, o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]train.Figure, error) {
		r, err := v.Run(ctx)
		if err != nil {
			return nil, err
		}
		return []train.Figure{
			{Name: Accuracy, Value: r.Accuracy}, {Name: AccuracyNoise03, Value: r.Noise[0].Accuracy},
			{Name: "cross_entropy", Value: r.CrossEntropy}, {Name: "kl", Value: r.KL}, {Name: "collapsed", Value: float64(r.Collapsed)},
		}, nil
	}, nil
}

func (t *Training) measureLM(blocks *corpus.Blocks, o eval.Options) (func(context.Context) ([]train.Figure, error), error) {
	o.Samples = 8 // narrower intervals at little cost
	v, err := eval.NewLM(t.eng, t.LM, blocks, o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]train.Figure, error) {
		r, err := v.Run(ctx)
		if err != nil {
			return nil, err
		}
		var figures []train.Figure
		for _, f := range r.HeadLoss.Figures() {
			figures = append(figures, train.Figure{Name: f.Name, Value: f.Value})
		}
		if len(r.TokenBrier) > 0 {
			figures = append(figures, train.Figure{Name: metric.TokenLoss, Value: r.TokenLoss})
		}
		for i, b := range r.TokenBrier {
			figures = append(figures, train.Figure{Name: metric.TokenBrier(i), Value: b})
		}
		if r.Diverged > 0 { // a diffusion head that is young does that
			figures = append(figures, train.Figure{Name: Diverged, Value: float64(r.Diverged) / float64(r.Drawn)})
		}
		return append(figures, scores(r.Result)...), nil
	}, nil
}

// scores are the figures of BrierLM.
func scores(r brier.Result) []train.Figure {
	figures := []train.Figure{{Name: BrierLM, Value: r.BrierLM}}
	for i, b := range r.Brier {
		figures = append(figures, train.Figure{Name: fmt.Sprintf("brier_%d", i+1), Value: b})
	}
	return figures
}

func (t *Training) measureAR(blocks *corpus.Blocks, o eval.Options) (func(context.Context) ([]train.Figure, error), error) {
	v, err := eval.NewAR(t.eng, t.AR, blocks, o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]train.Figure, error) {
		r, err := v.Run(ctx)
		if err != nil {
			return nil, err
		}
		return append([]train.Figure{{Name: "cross_entropy", Value: r.CrossEntropy}, {Name: "perplexity", Value: r.Perplexity},
			{Name: Accuracy, Value: r.Accuracy}}, scores(r.Result)...), nil
	}, nil
}

// Evaluation says what Evaluate measures; its zero value measures all of the run's own held-out text.
type Evaluation struct {
	Data  []string // other text, of which all is measured; none for the run's held-out part
	Block int      // tokens a block; 0 for the run's block_size
	eval.Options
}

// Result is what Evaluate measured: exactly one of AE, LM and AR is set.
type Result struct {
	Run  string `json:"run"`
	Text Text   `json:"text"` // what was measured on
	// DType is the format of the weights in memory.
	DType DType          `json:"dtype"`
	AE    *eval.AEResult `json:"ae,omitempty"`
	LM    *eval.LMResult `json:"lm,omitempty"`
	AR    *eval.ARResult `json:"ar,omitempty"`
}

// Text names a text, or the part of it that is held out of training.
type Text struct {
	Part string   `json:"part"` // PartHeldOut or PartAll
	Data []string `json:"data"` // its paths; none for the embedded book
}

// Values of Text.Part.
const (
	PartHeldOut = "held out"
	PartAll     = "all"
)

// String names it for people: held out of a.txt, b.txt.
func (t Text) String() string {
	if len(t.Data) == 0 {
		return t.Part + " of the embedded book"
	}
	return t.Part + " of " + strings.Join(t.Data, ", ")
}

// Evaluate measures the model. That the run's own text has changed since is a *UsageError.
func (m *Model) Evaluate(ctx context.Context, eng *cpu.Engine, o Evaluation) (Result, error) {
	out := Result{Run: m.Dir, Text: Text{PartHeldOut, append([]string{}, m.Data...)}, DType: m.DType}
	load := m.ownText
	if len(o.Data) > 0 {
		out.Text.Data = o.Data
		load = func(ctx context.Context) (*corpus.Corpus, error) { return m.text(ctx, o.Data) }
	}
	text, err := load(ctx)
	if err != nil {
		return out, err
	}
	defer text.Close()
	part := text.HeldOut()
	if len(o.Data) > 0 || len(m.Data) == 0 && m.Imported != "" { // nothing of it was for training
		part, out.Text.Part = text.All(), PartAll
	}
	layout := m.Layout()
	if o.Block > 0 {
		layout.BlockSize = o.Block
	}
	blocks, err := part.Blocks(layout)
	if err != nil {
		return out, &UsageError{err}
	}
	if o.Seed == 0 {
		o.Seed = m.Seed
	}
	switch {
	case m.AE != nil:
		r, err := eval.AE(ctx, eng, m.AE, blocks, o.Options)
		out.AE = &r
		return out, err
	case m.LM != nil:
		r, err := eval.LM(ctx, eng, m.LM, blocks, o.Options)
		out.LM = &r
		return out, err
	}
	r, err := eval.AR(ctx, eng, m.AR, blocks, o.Options)
	out.AR = &r
	return out, err
}

// ownText loads the run's text, and refuses one that has changed since the run was trained on it: of what would be held
// out now, much may have been for training. A run without checkpoints, one that was imported, cannot tell.
func (m *Model) ownText(ctx context.Context) (*corpus.Corpus, error) {
	text, err := m.text(ctx, m.Data)
	if err != nil {
		return nil, err
	}
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return nil, errors.Join(err, text.Close())
	}
	switch was, err := train.TrainedOn(r); {
	case errors.Is(err, checkpoint.ErrNoCheckpoint):
	case err != nil:
		return nil, errors.Join(fmt.Errorf("compare the text with what %s was trained on: %w", m.Dir, err), text.Close())
	case was != text.Fingerprint():
		of := "the embedded book"
		if len(m.Data) > 0 {
			of = strings.Join(m.Data, ", ")
		}
		return nil, errors.Join(usage("%s has changed since %s was trained on it (fingerprint %.12s, not %.12s), so that what it would hold out now may have been for training: put back what it was, or measure on other text with --data FILE",
			of, m.Dir, text.Fingerprint(), was), text.Close())
	}
	return text, nil
}

// text loads text for measuring. A run without a tokenizer reads what is prepared: ids.
func (m *Model) text(ctx context.Context, paths []string) (*corpus.Corpus, error) {
	if tok := m.TextTokenizer(); tok != nil {
		text, err := corpus.Load(ctx, tok, paths...)
		if err != nil {
			return nil, BadText(ctx, "--data: ", err)
		}
		return text, nil
	}
	if len(paths) != 1 || !corpus.IsPrepared(paths[0]) {
		return nil, m.needTokenizer("reading text for")
	}
	text, err := corpus.Open(paths[0])
	if err != nil {
		return nil, BadText(ctx, "--data: ", err)
	}
	bos, _, _ := m.specials()
	if vocab := m.VocabSize(); text.VocabSize() > vocab || text.BOS() != int32(bos) {
		return nil, errors.Join(text.Close(), usage("--data: %s was prepared with %d tokens and BOS %d, the model has %d and BOS %d: they do not belong together",
			paths[0], text.VocabSize(), text.BOS(), vocab, bos))
	}
	return text, nil
}

// Layout returns how the run's text becomes blocks.
func (m *Model) Layout() corpus.Layout {
	l := corpus.Layout{Kind: corpus.Language, PatchSize: 1, BlockSize: m.BlockSize}
	switch {
	case m.AE != nil:
		l.Kind, l.PatchSize = corpus.Autoencoder, m.AE.Config.PatchSize
	case m.LM != nil:
		l.PatchSize = m.LM.Config.PatchSize
	}
	return l
}

// Baselines scores models that know little on the positions where Evaluate measures a language model: the unigram of
// the training text, and one that knows nothing.
func (m *Model) Baselines(ctx context.Context, o eval.Options) (eval.BaselineResult, error) {
	text, err := m.ownText(ctx)
	if err != nil {
		return eval.BaselineResult{}, err
	}
	defer text.Close()
	layout := m.Layout()
	held, err := text.HeldOut().Blocks(layout)
	if err != nil {
		return eval.BaselineResult{}, err
	}
	trained, err := text.Train().Blocks(layout)
	if err != nil {
		return eval.BaselineResult{}, err
	}
	return eval.Unigram(ctx, trained, held, m.VocabSize(), layout.PatchSize, o)
}

// BadText says of an error from reading text that it is the user's to set right: a *UsageError that begins with where.
// Nil stays nil, and after the end of ctx the error stays as it is.
func BadText(ctx context.Context, where string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return usage("%s%w", where, err)
}
