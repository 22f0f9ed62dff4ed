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
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
)

// Settings of the measurements during training.
const (
	trainingSigma   = .3 // standard deviation of the noise under which an autoencoder's accuracy is measured (docs/spec.md, section 2)
	trainingSamples = 8  // samples of a language model at each position: more than the paper's, for narrower confidence intervals
)

// measure returns the measurement on held-out text that training makes every eval_steps.
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

// Evaluation says what Evaluate measures. Its zero value measures all held-out text of the run.
type Evaluation struct {
	// Data lists paths of the text to measure. Of the text that the run was trained on, at whatever path, only the held-out
	// part is measured; of other text, everything. Without Data and Documents it is the run's own text.
	Data  []string
	Field string    // field of JSON lines and Parquet that contains the text of Data (corpus.Source.Field)
	Stdin io.Reader // the text of corpus.Stdin in Data; where it is nil, corpus.Stdin is an error
	Block int       // tokens of a block; 0 for the run's block_size
	// Documents is text in memory, in place of Data. The same rule applies to which part is measured.
	Documents iter.Seq2[corpus.Document, error]
	eval.Options
}

// Result is the result of Evaluate.
type Result struct {
	Run   string       `json:"run"`   // the run's directory
	Text  Text         `json:"text"`  // the text that was measured
	Notes corpus.Notes `json:"-"`     // the parts of the text that were not read
	DType DType        `json:"dtype"` // number format of the weights in memory
	Kind  Kind         `json:"-"`     // the run's kind
	// Measured is an autoencoder.Measurement, lm.Measurement or ar.Measurement, depending on Kind. In JSON its key is the
	// kind: "ae", "lm" or "ar".
	Measured eval.Measurement `json:"-"`
}

// MarshalJSON writes the result with Measured under the key of its kind.
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
	Part   string   `json:"part"`             // PartHeldOut or PartAll
	Data   []string `json:"data"`             // its paths; none for the embedded book and for text from memory
	Field  string   `json:"field,omitempty"`  // field of JSON lines and Parquet that contains the text; "" for corpus.DefaultField
	Memory bool     `json:"memory,omitempty"` // a program gave the text in memory
}

// Values of Text.Part.
const (
	PartHeldOut = "held out"
	PartAll     = "all"
)

// String describes the text, as in "held out of a.txt, b.txt".
func (t Text) String() string {
	return t.Part + " of " + corpus.Source{Paths: t.Data, Field: t.Field, Memory: t.Memory}.String()
}

// Evaluate measures the model on text. If the run's own text has changed since the training, the error is a *UsageError.
func (m *Model) Evaluate(ctx context.Context, eng *cpu.Engine, o Evaluation) (Result, error) {
	if m.closed {
		return Result{}, ErrClosed
	}
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
	if other || len(m.Data) == 0 && m.Imported != "" { // the run was not trained on this text
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

// ownText loads the run's text. It returns a *UsageError if the text has changed since the training, because the held-out part
// would then contain text that the run was trained on. An imported run has no checkpoints: it has no fingerprint to compare.
func (m *Model) ownText(ctx context.Context) (*corpus.Corpus, error) {
	if m.FromMemory {
		return nil, usage("%s was trained on text from memory, which is not saved: give it again (Evaluation.Documents), or measure on other text with --data FILE", m.Dir)
	}
	text, err := m.text(ctx, m.Source())
	if err != nil {
		return nil, m.gone(err)
	}
	was, known, err := m.fingerprint()
	if err == nil && known && was != text.Fingerprint() {
		err = usage("%s has changed since %s was trained on it (fingerprint %.12s, not %.12s): its held-out part may contain training text: restore the text, or measure on other text with --data FILE",
			m.Source(), m.Dir, text.Fingerprint(), was)
	}
	if err != nil {
		return nil, errors.Join(err, text.Close())
	}
	return text, nil
}

// text loads text for a measurement. A run without a tokenizer can only read prepared text, which has ids.
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
		return nil, badText(ctx, src, err)
	}
	if v := m.Network.Vocabulary(); text.VocabSize() > v.Size || text.BOS() != v.BOS {
		return nil, errors.Join(text.Close(), usage("--data: %s was prepared with %d tokens and BOS %d, but the model has %d tokens and BOS %d: use the model's tokenizer",
			src, text.VocabSize(), text.BOS(), v.Size, v.BOS))
	}
	return text, nil
}

// Layout returns how the run's text is cut into blocks of block_size tokens.
func (m *Model) Layout() corpus.Layout { return m.Network.Layout(m.BlockSize) }

// Baselines scores two simple models on the positions at which Evaluate measures a language model: the unigram distribution
// of the training text, and the uniform distribution. It needs the run's own text.
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
