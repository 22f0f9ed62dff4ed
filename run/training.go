package run

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/loop"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/train"
)

// Training is a run in training. The caller must call Close.
type Training struct {
	*Model
	// Progress is called with every event during Do, on the goroutine that trains; nil: not called.
	Progress func(train.Event)
	// TextFrom is the directory of the autoencoder's run, where a language model trains on its autoencoder's text. Else it
	// is "".
	TextFrom string

	loop      *loop.Loop
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
	t := &Training{eng: eng, documents: o.Documents}
	if over.autoencoder != nil && len(o.Data) == 0 && o.Documents == nil {
		t.TextFrom = o.AE
		if err := over.autoencoder.giveText(&o); err != nil {
			return nil, err
		}
	}
	if t.Model, err = k.create(o, over); err != nil {
		return nil, err
	}
	if err := t.prepare(ctx, over.autoencoder); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Resume opens the run in dir to continue its training from its newest checkpoint, or from the beginning if it has none yet.
// The zero value of o continues as configured: the run then ends as if it had never stopped. What o changes applies from the
// next step on and is written to config.json. Fewer steps than are made, keys that cannot change and another text are a
// *UsageError; they leave the run as it was. The warnings list damaged parts of the run.
func Resume(ctx context.Context, eng *cpu.Engine, dir string, o ResumeOptions) (t *Training, warnings []string, err error) {
	m, err := describe(dir, true, o.AcceptConfig)
	switch {
	case err != nil:
		return nil, nil, err
	case o.Kind != "" && o.Kind != m.Kind:
		return nil, nil, usage("train %s --resume %s: it is a run of kind %s: leave out %s, or write %s", o.Kind, dir, m.Kind, o.Kind, m.Kind)
	case m.Imported != "":
		return nil, nil, usage("--resume %s: the run was imported from %s: it can be measured and can write, but it has no training state to resume from", dir, m.Imported)
	}
	t = &Training{Model: m, eng: eng, documents: o.Documents}
	if warnings, err = t.resume(ctx, o); err != nil {
		return nil, warnings, errors.Join(err, t.Close())
	}
	return t, warnings, nil
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
	t.loop = &loop.Loop{Trainer: trainer, Batches: batches, Data: t.corpus.Fingerprint(), Evaluate: measure}
	return nil
}

// Do trains until the run is finished or ctx ends. When ctx ends, Do saves a checkpoint and returns without an error; Resume
// continues from there. It returns ErrClosed after Close. Where a step's loss or gradient is not finite, the error is a
// *train.DivergedError that says how to continue.
func (t *Training) Do(ctx context.Context) (train.Outcome, error) {
	if t.closed {
		return train.Outcome{}, ErrClosed
	}
	t.loop.Progress = t.Progress
	out, err := t.loop.Do(ctx)
	return out, t.diverged(err)
}

// Steps returns the number of steps made since the run began.
func (t *Training) Steps() int { return t.loop.Trainer.Steps() }

// Finished reports whether the run has nothing left to do.
func (t *Training) Finished() bool { return t.loop.Finished() }

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

// diverged adds to the error of a diverged training how to continue it.
func (t *Training) diverged(err error) error {
	if _, ok := errors.AsType[*train.DivergedError](err); !ok || t.run == nil {
		return err
	}
	return fmt.Errorf("%w; `calm train --resume %s --set learning_rate=%g` continues from the checkpoint before it", err, t.Dir, t.LearningRate/2)
}
