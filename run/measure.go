package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/train"
)

// Training measures an autoencoder's accuracy under noise of this standard deviation (docs/spec.md, section 2), and draws
// this many patches at each position of a language model: more than the paper, for narrower intervals at little cost.
const (
	trainingSigma   = .3
	trainingSamples = 8
)

// measure makes the measurement on held-out text that training takes every eval_steps.
func (t *Training) measure(layout corpus.Layout) (func(context.Context) ([]metric.Metric, error), error) {
	blocks, err := t.corpus.HeldOut().Blocks(layout)
	if err != nil {
		return nil, &UsageError{err}
	}
	o := eval.Options{Seed: t.Seed, MaxBlocks: t.EvalBlocks, Sigmas: []float64{trainingSigma}, Samples: trainingSamples}
	measure, err := t.Network.Evaluator(t.eng, blocks, o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]metric.Metric, error) {
		r, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		return r.Metrics(), nil
	}, nil
}

// Evaluation says what Evaluate measures; its zero value measures all of the run's own held-out text.
type Evaluation struct {
	Data  []string  // text, of which all is measured, or of the run's own, wherever it lies, the held-out part; none for that
	Field string    // what holds the text in JSON lines and Parquet of Data (corpus.Source.Field)
	Stdin io.Reader // what corpus.Stdin among Data reads; nil refuses it
	Block int       // tokens a block; 0 for the run's block_size
	// Documents is text that the program has in memory, in place of Data. Of a run that was trained on these documents the
	// held-out part is measured.
	Documents iter.Seq2[corpus.Document, error]
	eval.Options
}

// Result is what Evaluate measured.
type Result struct {
	Run   string       `json:"run"` // its directory
	Text  Text         `json:"text"`
	Notes corpus.Notes `json:"-"`     // what of the text was not read
	DType DType        `json:"dtype"` // the format of the weights in memory
	Kind  Kind         `json:"-"`
	// Measured is an autoencoder.Measurement, lm.Measurement or ar.Measurement, as the kind says. In JSON it stands under
	// the kind's name.
	Measured eval.Measurement `json:"-"`
}

// MarshalJSON writes what was measured under the name of the kind.
func (r Result) MarshalJSON() ([]byte, error) {
	type fields Result // without this method
	about, err := json.Marshal(fields(r))
	if err != nil {
		return nil, err
	}
	measured, err := json.Marshal(r.Measured)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(about[:len(about)-1], ",%q:%s}", r.Kind, measured), nil
}

// Text names a text, or the part of it that is held out of training.
type Text struct {
	Part string   `json:"part"` // PartHeldOut or PartAll
	Data []string `json:"data"` // its paths; none for the embedded book
	// Field holds the text in JSON lines and Parquet; "" where it is corpus.DefaultField.
	Field string `json:"field,omitempty"`
	// Memory: a program gave the text.
	Memory bool `json:"memory,omitempty"`
}

// Values of Text.Part.
const (
	PartHeldOut = "held out"
	PartAll     = "all"
)

// String names it for people: held out of a.txt, b.txt.
func (t Text) String() string {
	return t.Part + " of " + corpus.Source{Paths: t.Data, Field: t.Field, Memory: t.Memory}.String()
}

// Evaluate measures the model. That the run's own text has changed since is a *UsageError.
func (m *Model) Evaluate(ctx context.Context, eng *cpu.Engine, o Evaluation) (Result, error) {
	out := Result{Run: m.Dir, Kind: m.Kind, Text: Text{Part: PartHeldOut, Data: append([]string{}, m.Data...), Field: m.Field}, DType: m.DType}
	load, given := m.ownText, len(o.Data) > 0 || o.Documents != nil
	if given {
		src := corpus.Source{Paths: o.Data, Field: o.Field, Input: o.Stdin, Memory: o.Documents != nil, Documents: o.Documents}
		out.Text.Data, out.Text.Field, out.Text.Memory = append([]string{}, o.Data...), o.Field, src.Memory
		load = func(ctx context.Context) (*corpus.Corpus, error) { return m.text(ctx, src) }
	}
	if out.Text.Field == corpus.DefaultField {
		out.Text.Field = ""
	}
	text, err := load(ctx)
	if err != nil {
		return out, err
	}
	defer text.Close()
	out.Notes = text.Notes()
	part := text.HeldOut()
	other := given && !m.trainedOn(text)
	if other || len(m.Data) == 0 && m.Imported != "" { // nothing of it was for training
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
	measure, err := m.Network.Evaluator(eng, blocks, o.Options)
	if err != nil {
		return out, err
	}
	out.Measured, err = measure(ctx)
	return out, err
}

// ownText loads the run's text, and refuses one that has changed since the run was trained on it: of what would be held
// out now, much may have been for training. A run without checkpoints, one that was imported, cannot tell.
func (m *Model) ownText(ctx context.Context) (*corpus.Corpus, error) {
	if m.FromMemory {
		return nil, usage("%s was trained on text from memory, which only the program that trained it has: give it again (Evaluation.Documents), or measure on other text with --data FILE", m.Dir)
	}
	text, err := m.text(ctx, m.Source())
	if err != nil {
		return nil, m.gone(err)
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
		return nil, errors.Join(usage("%s has changed since %s was trained on it (fingerprint %.12s, not %.12s), so that what it would hold out now may have been for training: put back what it was, or measure on other text with --data FILE",
			m.Source(), m.Dir, text.Fingerprint(), was), text.Close())
	}
	return text, nil
}

// text loads text for measuring. A run without a tokenizer reads what is prepared: ids.
func (m *Model) text(ctx context.Context, src corpus.Source) (*corpus.Corpus, error) {
	if tok := m.TextTokenizer(); tok != nil {
		text, err := corpus.Load(ctx, tok, src)
		if err != nil {
			return nil, badText(ctx, src, err)
		}
		return text, nil
	}
	if !src.Prepared() {
		return nil, m.needTokenizer("reading text for")
	}
	text, err := corpus.Open(src.Paths[0])
	if err != nil {
		return nil, BadText(ctx, "--data: ", err)
	}
	if v := m.Network.Vocabulary(); text.VocabSize() > v.Size || text.BOS() != v.BOS {
		return nil, errors.Join(text.Close(), usage("--data: %s was prepared with %d tokens and BOS %d, the model has %d and BOS %d: they do not belong together",
			src, text.VocabSize(), text.BOS(), v.Size, v.BOS))
	}
	return text, nil
}

// Layout returns how the run's text becomes blocks.
func (m *Model) Layout() corpus.Layout { return m.Network.Layout(m.BlockSize) }

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
