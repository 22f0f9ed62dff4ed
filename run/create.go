package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Options say what a new run trains, on which text, and for how long.
type Options struct {
	Kind   Kind     // AE, LM or AR
	Out    string   // the run directory, which Create makes
	Preset string   // name of a preset; "" for DefaultPreset
	Config string   // path of a JSON file with keys that override the preset; "" for none
	Set    []string // key=value assignments, which override the preset and the file
	// Data lists paths of text. Without Data and Documents, a language model trains on its autoencoder's text, and other
	// models on the embedded book.
	Data      []string
	Field     string  // field of JSON lines and Parquet that contains the text, as "content" or "meta.text"; "" for "text"
	AE        string  // the autoencoder's run directory; for a language model only
	Tokenizer string  // bytes, llama3:FILE or the path of a tokenizer.json; "" for that of prepared text, else bytes
	Steps     int     // optimizer steps in all, 1 or more; 0 for the configured number
	Minutes   float64 // minutes of training, more than 0; 0 for the configured number
	Seed      *uint64 // seed of weights, shuffling and noise; nil for the configured one
	// Documents is text in memory, in place of Data. Create reads it once; its tokens stay in memory during training. The
	// run does not save them: Resume and Evaluate need the documents again.
	Documents iter.Seq2[corpus.Document, error]
}

// check refuses options that no run can have.
func (o Options) check() error {
	switch {
	case o.Out == "":
		return usage("there is no run directory to make: give Options.Out (--out)")
	case o.Steps < 0:
		return usage("%d steps: want 1 or more, or 0 for as many as configured", o.Steps)
	case !(o.Minutes >= 0):
		return usage("%g minutes: want more than 0, or 0 for as many as configured", o.Minutes)
	case o.Documents != nil && (len(o.Data) > 0 || o.Field != ""):
		return usage("there are two texts: documents from memory and %s: give one", corpus.Source{Paths: o.Data, Field: o.Field})
	}
	return nil
}

// free returns a *UsageError if the run directory cannot be made. It is called before the text is read, because tokenizing a
// large text takes long. CreateRun checks again, and more closely.
func free(dir string) error {
	err := checkpoint.Free(dir)
	if _, none := checkpoint.OpenRun(dir); err != nil && none == nil {
		err = fmt.Errorf("%w, or resume it (calm train --resume %s)", err, dir)
	}
	if err != nil {
		return &UsageError{err}
	}
	return nil
}

// foundation returns the tokenizer of a new run, and opens its autoencoder where the kind needs one.
func (k kind) foundation(o Options) (foundation, error) {
	if k.inside == "" {
		if o.AE != "" {
			return foundation{}, usage("--ae is for language models only")
		}
		tok, err := tokenizerFor(o)
		return foundation{tokenizer: tok}, err
	}
	switch {
	case o.AE == "":
		return foundation{}, usage("a language model needs an autoencoder: train one with `calm train ae --out DIR` and give it as --ae DIR")
	case o.Tokenizer != "":
		return foundation{}, usage("--tokenizer is not for language models: they use the tokenizer of their autoencoder, here %s", o.AE)
	}
	ae, err := Open(o.AE)
	if err != nil {
		return foundation{}, fmt.Errorf("--ae: %w", err)
	}
	if ae.Kind != AE {
		return foundation{}, errors.Join(usage("--ae: %s is a run of kind %s, not an autoencoder", o.AE, ae.Kind), ae.Close())
	}
	if err := ae.needTokenizer("train over"); err != nil {
		return foundation{}, errors.Join(err, ae.Close())
	}
	return foundation{ae.Tokenizer, ae}, nil
}

// tokenizerFor returns the tokenizer that o names, or else that of prepared text, or else bytes.
func tokenizerFor(o Options) (*tokenizer.Tokenizer, error) {
	if text := (corpus.Source{Paths: o.Data}); o.Tokenizer == "" && text.Prepared() {
		return corpus.PreparedTokenizer(o.Data[0])
	}
	tok, err := tokenizer.Named(o.Tokenizer)
	if err != nil {
		return nil, usage("--tokenizer: %w", err)
	}
	return tok.WithPAD(), nil // layouts need PAD, and files of others often have none
}

// create composes the configuration of a new run and makes its model, with initial weights.
func (k kind) create(o Options, over foundation) (*Model, error) {
	p, err := k.compose(o, over)
	if err != nil {
		return nil, err
	}
	m := newModel(o.Out, over.tokenizer, p, true)
	if err := train.Enough(m.Params); err != nil {
		return nil, &UsageError{err}
	}
	if ae := over.autoencoder; ae != nil {
		for _, p := range ae.Params.All() {
			// A copy: the training lasts longer than the mapped file.
			if err := m.Params.SetData(k.inside+p.Name, p.Shape, slices.Clone(p.Data)); err != nil {
				return nil, err
			}
		}
	}
	m.Network.Initialize(m.Seed)
	return m, nil
}

// prepare loads the text, writes the files that a run has before its first step, and sets up the loop.
func (t *Training) prepare(ctx context.Context, ae *Model) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	if t.TextFrom != "" {
		if err := ae.sameText(t.corpus); err != nil {
			return err
		}
	}
	if err := t.keepTail(); err != nil {
		return err
	}
	var err error
	if t.run, err = checkpoint.CreateRun(t.Dir); err != nil {
		if errors.Is(err, checkpoint.ErrExists) {
			err = &UsageError{err}
		}
		return err
	}
	if err := t.run.AddBytes(checkpoint.TokenizerFile, t.Tokenizer.JSON()); err != nil {
		return err
	}
	if ae != nil {
		if err := t.addAutoencoder(ae); err != nil {
			return err
		}
	}
	t.loop.Run = t.run
	return t.writeConfig(t.run)
}

// keepTail puts the end of a document of the training text, patch_size ids, into the configuration.
func (t *Training) keepTail() error {
	ids, err := t.corpus.Train().End(t.Layout().PatchSize)
	for _, id := range ids {
		t.Tail = append(t.Tail, int(id))
	}
	return err
}

func (t *Training) addAutoencoder(ae *Model) error {
	const in = checkpoint.AutoencoderIn + "/"
	if err := t.run.AddCopy(in+checkpoint.ConfigFile, filepath.Join(ae.Dir, checkpoint.ConfigFile)); err != nil {
		return err
	}
	if ae.weights == nil { // the weights were converted on opening: an imported run, whose file does not change
		return t.run.AddCopy(in+checkpoint.ModelFile, filepath.Join(ae.Dir, checkpoint.ModelFile))
	}
	// Copy the opened file. If the autoencoder is still in training, the file of this name may be a newer one.
	return t.run.Add(in+checkpoint.ModelFile, func(w io.Writer) error {
		_, err := ae.weights.WriteTo(w)
		return err
	})
}
