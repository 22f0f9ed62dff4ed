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
	"github.com/calm-go/calm/nn/cpu"
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

// Training is a run in training. The caller must call Close.
type Training struct {
	*Model
	Loop *train.Loop // makes the steps; Do calls it
	// TextFrom is the directory of the autoencoder's run, where a language model trains on its autoencoder's text. Else it
	// is "".
	TextFrom string

	run       *checkpoint.Run
	corpus    *corpus.Corpus
	documents iter.Seq2[corpus.Document, error] // nil where the text is not from memory
	eng       *cpu.Engine
	closed    bool
}

// Create makes a new run directory and prepares its training, which Training.Do starts. If the options are wrong, the error
// is a *UsageError or a *config.Error, and no directory is made. The engine must stay open during the training.
func Create(ctx context.Context, eng *cpu.Engine, o Options) (*Training, error) {
	if o.Preset == "" {
		o.Preset = DefaultPreset
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := free(o.Out); err != nil {
		return nil, err
	}
	k, ok := kindNamed(o.Kind)
	if !ok {
		return nil, usage("cannot train %q: want ae, lm or ar", o.Kind)
	}
	over, err := k.foundation(o)
	if err != nil {
		return nil, err
	}
	if over.autoencoder != nil {
		defer over.autoencoder.Close()
	}
	textFrom := ""
	if over.autoencoder != nil && len(o.Data) == 0 && o.Documents == nil {
		textFrom = o.AE
		if err := over.autoencoder.giveText(&o); err != nil {
			return nil, err
		}
	}
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
	return begin(ctx, &Training{Model: m, eng: eng, documents: o.Documents, TextFrom: textFrom}, over.autoencoder)
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
	return tok, nil
}

// begin prepares the training, and closes it on an error. ae is the autoencoder of a language model, else nil.
func begin(ctx context.Context, t *Training, ae *Model) (*Training, error) {
	if err := t.prepare(ctx, ae); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
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
	t.Loop.Run = t.run
	return t.writeConfig(t.run)
}

// keepTail puts the end of a document of the training text, patch_size ids, into the configuration.
func (t *Training) keepTail() error {
	for ids, err := range t.corpus.Train().Each() {
		if err != nil {
			return err
		}
		for _, id := range ids[max(0, len(ids)-t.Layout().PatchSize):] {
			t.Tail = append(t.Tail, int(id))
		}
		break
	}
	return nil
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

// open loads the text and compiles the training program.
func (t *Training) open(ctx context.Context) error {
	var err error
	if t.FromMemory && t.documents == nil {
		return usage("%s was trained on text from memory: only a program that has the text can resume it", t.Dir)
	}
	src := t.Source()
	src.Documents = t.documents
	if t.corpus, err = corpus.Load(ctx, t.Tokenizer, src); err != nil {
		return badText(ctx, src, err)
	}
	objective, err := t.Objective()
	if err != nil {
		return err
	}
	blocks, err := t.corpus.Train().Blocks(objective.Layout)
	if err != nil {
		return &UsageError{err}
	}
	batches, err := blocks.Shuffled(t.Seed, t.BatchSize)
	if err != nil {
		return &UsageError{err}
	}
	measure, err := t.measure(objective.Layout)
	if err != nil {
		return err
	}
	trainer, err := train.New(t.eng, objective, t.TrainConfig)
	if err != nil {
		return &UsageError{err}
	}
	t.Loop = &train.Loop{Trainer: trainer, Batches: batches, Data: t.corpus.Fingerprint(), Evaluate: measure}
	return nil
}

// Resume opens the run in dir to continue its training from its newest checkpoint, or from the beginning if it has none yet.
// The zero value of o continues as configured: the run then ends as if it had never stopped. What o changes applies from the
// next step on and is written to config.json. Fewer steps than are made, keys that cannot change and another text are a
// *UsageError; they leave the run as it was. The warnings list damaged parts of the run.
func Resume(ctx context.Context, eng *cpu.Engine, dir string, o ResumeOptions) (t *Training, warnings []string, err error) {
	m, err := describe(dir, true)
	if err != nil {
		return nil, nil, err
	}
	if o.Kind != "" && o.Kind != m.Kind {
		return nil, nil, usage("train %s --resume %s: it is a run of kind %s: leave out %s, or write %s", o.Kind, dir, m.Kind, o.Kind, m.Kind)
	}
	if m.Imported != "" {
		return nil, nil, usage("--resume %s: the run was imported from %s: it can be measured and can write, but it has no training state to resume from", dir, m.Imported)
	}
	t = &Training{Model: m, eng: eng, documents: o.Documents}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
			t = nil
		}
	}()
	was := t.TrainConfig
	if err := t.change(o.Set); err != nil {
		return t, nil, err
	}
	if t.run, err = checkpoint.ResumeRun(dir); err != nil {
		return t, nil, err
	}
	if err = train.Enough(t.Params); err != nil {
		return t, nil, &UsageError{err}
	}
	if err := t.initialize(); err != nil {
		return t, nil, err
	}
	if o.text() {
		t.Data, t.FromMemory = absolute(o.Data), o.Documents != nil
	}
	if err := t.open(ctx); err != nil {
		if !o.text() {
			err = t.gone(err)
		}
		return t, nil, err
	}
	t.Loop.Run = t.run
	warnings, err = t.Loop.Resume(train.More{Steps: o.Steps, Minutes: o.Minutes, From: o.From, Was: &was})
	if err != nil {
		return t, warnings, limits(o, dir, err)
	}
	if len(o.Set) > 0 && t.Loop.Finished() {
		return t, warnings, usage("--set %s: %s is finished after %d steps: add --steps or --minutes to train it further", o.Set[0], dir, t.Loop.Trainer.Steps())
	}
	t.TrainConfig = t.Loop.Trainer.Config
	if !o.text() && t.TrainConfig == was {
		return t, warnings, nil
	}
	return t, warnings, t.writeConfig(t.run)
}

// initialize sets the parameters to the values of a new run, for a run that was killed before its first checkpoint.
func (t *Training) initialize() error {
	k, _ := kindNamed(t.Kind)
	if k.inside == "" {
		t.Network.Initialize(t.Seed)
		return nil
	}
	f, err := checkpoint.Open(filepath.Join(t.Dir, checkpoint.AutoencoderIn, checkpoint.ModelFile))
	if err != nil {
		return err
	}
	if err := f.Verify(); err != nil {
		return errors.Join(err, f.Close())
	}
	for _, name := range f.Names() {
		tensor, err := f.Tensor(name)
		if err == nil {
			err = t.Params.SetData(k.inside+name, tensor.Shape, tensor.Data)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", f.Path(), err), f.Close())
		}
	}
	t.Network.Initialize(t.Seed)
	return f.Close()
}

// Do trains until the run is finished or ctx ends. When ctx ends, Do saves a checkpoint and returns without an error; Resume
// continues from there.
func (t *Training) Do(ctx context.Context) (train.Outcome, error) {
	if t.closed {
		return train.Outcome{}, ErrClosed
	}
	out, err := t.Loop.Do(ctx)
	return out, t.diverged(err)
}

// Corpus returns the text of the run. It is closed by Close.
func (t *Training) Corpus() *corpus.Corpus { return t.corpus }

// Close releases the lock of the run directory and closes the text. The model stays usable.
func (t *Training) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	var errs []error
	if t.run != nil {
		errs = append(errs, t.run.Close())
	}
	if t.corpus != nil {
		errs = append(errs, t.corpus.Close())
	}
	return errors.Join(errs...)
}
