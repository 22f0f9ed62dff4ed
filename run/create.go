package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Options say what a new run trains, on what, and how long.
type Options struct {
	Kind      Kind     // AE, LM or AR
	Out       string   // the run directory to make
	Preset    string   // "" for DefaultPreset
	Config    string   // a JSON file over the preset, or ""
	Set       []string // key=value over both
	Data      []string // paths of text; none for the embedded book, for the text of a language model's autoencoder, or with Documents
	Field     string   // what holds the text in JSON lines and Parquet, as "content" or "meta.text"; "" for "text"
	AE        string   // the autoencoder's run, for a language model
	Tokenizer string   // bytes, llama3:FILE or a tokenizer.json; "" for bytes
	Steps     int      // optimizer steps in all, 1 or more; 0: as configured
	Minutes   float64  // of training, more than 0; 0: as configured
	Seed      *uint64  // of weights, shuffling and noise; nil: as configured
	// Documents is text that the program has, in place of Data. It is read once, and its tokens are kept in memory while
	// the run trains. The run records that its text was in memory: resuming and measuring it take the documents again.
	Documents iter.Seq2[corpus.Document, error]
}

// Training is a run in training. Close it.
type Training struct {
	*Model
	Loop *train.Loop
	// TextFrom is the autoencoder's run whose text this language model trains on because Options.Data named none; else "".
	TextFrom string

	run       *checkpoint.Run
	corpus    *corpus.Corpus
	documents iter.Seq2[corpus.Document, error] // of a run whose text is in memory
	eng       *cpu.Engine
}

// Create makes a new run and prepares its training; nothing is left behind where the options are wrong. Mistakes of
// the user are *UsageError or *config.Error.
func Create(ctx context.Context, eng *cpu.Engine, o Options) (*Training, error) {
	if o.Preset == "" {
		o.Preset = DefaultPreset
	}
	if o.Documents != nil && (len(o.Data) > 0 || o.Field != "") {
		return nil, usage("there are two texts: documents from memory and %s: give one", corpus.Source{Paths: o.Data, Field: o.Field})
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
			// A copy: what is trained outlives the file.
			if err := m.Params.SetData(k.inside+p.Name, p.Shape, slices.Clone(p.Data)); err != nil {
				return nil, err
			}
		}
	}
	m.Network.Initialize(m.Seed)
	return begin(ctx, &Training{Model: m, eng: eng, documents: o.Documents, TextFrom: textFrom}, over.autoencoder)
}

// free refuses a directory that is taken before anything is read: tokenizing a large text takes its time. CreateRun
// looks again, and closer.
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

// foundation opens what a new run of the kind is made for.
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
		return foundation{}, usage("--tokenizer is refused for a language model: it uses that of its autoencoder %s", o.AE)
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

// tokenizerFor returns the tokenizer that is asked for, else that of prepared text, else bytes.
func tokenizerFor(o Options) (*tokenizer.Tokenizer, error) {
	if text := (corpus.Source{Paths: o.Data}); o.Tokenizer == "" && text.Prepared() {
		return corpus.PreparedTokenizer(o.Data[0])
	}
	return ChooseTokenizer(o.Tokenizer)
}

// ChooseTokenizer returns the tokenizer that a --tokenizer flag names: bytes, llama3:FILE or a tokenizer.json.
func ChooseTokenizer(name string) (*tokenizer.Tokenizer, error) {
	file, llama := strings.CutPrefix(name, "llama3:")
	var tok *tokenizer.Tokenizer
	var err error
	switch {
	case name == "" || name == "bytes":
		return tokenizer.Bytes(), nil
	case llama:
		tok, err = tokenizer.LoadLlama3(file)
	default:
		tok, err = tokenizer.Load(name)
	}
	if err != nil {
		return nil, usage("--tokenizer: %w", err)
	}
	return tok, nil
}

// begin prepares the training, or closes it. ae is the autoencoder of a language model.
func begin(ctx context.Context, t *Training, ae *Model) (*Training, error) {
	if err := t.prepare(ctx, ae); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// prepare loads the text, writes what a run needs before its first step, and sets up the loop.
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

// keepTail puts the end of a document of the training text into the configuration: enough to fill up a patch.
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
	if ae.weights == nil { // they were converted: those of an import, which nobody trains
		return t.run.AddCopy(in+checkpoint.ModelFile, filepath.Join(ae.Dir, checkpoint.ModelFile))
	}
	// What was read: a run that is still in training has other weights under that name by now.
	return t.run.Add(in+checkpoint.ModelFile, func(w io.Writer) error {
		_, err := ae.weights.WriteTo(w)
		return err
	})
}

// open loads the text and compiles the training program.
func (t *Training) open(ctx context.Context) error {
	var err error
	if t.FromMemory && t.documents == nil {
		return usage("%s was trained on text from memory: only the program that has the text can train it further", t.Dir)
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

// Resume opens a run to train on from its newest checkpoint, or from the beginning if it has none yet. What o asks for
// holds from there on and goes into config.json; with nothing asked for, the run ends as if it had never stopped. Fewer
// steps than it has made, keys that cannot change and another text are a *UsageError, and change nothing. The warnings say
// what of the run was damaged.
func Resume(ctx context.Context, eng *cpu.Engine, dir string, o ResumeOptions) (t *Training, warnings []string, err error) {
	m, err := describe(dir, true)
	if err != nil {
		return nil, nil, err
	}
	if o.Kind != "" && o.Kind != m.Kind {
		return nil, nil, usage("train %s --resume %s: it is a run of kind %s: leave the word out, or say %s", o.Kind, dir, m.Kind, m.Kind)
	}
	if m.Imported != "" {
		return nil, nil, usage("--resume %s: the run was imported from %s: it has weights to measure and to write with, and no state to train on from", dir, m.Imported)
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

// initialize gives the parameters the values a new run has: a run killed before its first checkpoint begins again.
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

// Do trains until the end, or until ctx ends: then what is done is saved.
func (t *Training) Do(ctx context.Context) (train.Outcome, error) {
	out, err := t.Loop.Do(ctx)
	return out, t.diverged(err)
}

// Corpus returns the text of the run.
func (t *Training) Corpus() *corpus.Corpus { return t.corpus }

// Close gives back the run's lock and the text.
func (t *Training) Close() error {
	var errs []error
	if t.run != nil {
		errs = append(errs, t.run.Close())
	}
	if t.corpus != nil {
		errs = append(errs, t.corpus.Close())
	}
	return errors.Join(errs...)
}
