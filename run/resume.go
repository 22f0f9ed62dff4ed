package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/loop"
	"github.com/calm-go/calm/train"
)

// ResumeOptions say how to continue a run. The zero value continues as configured.
type ResumeOptions struct {
	Kind    Kind     // the kind that the run must have; "" for any
	Steps   int      // steps in all, including those already made, in place of a limit in minutes; 0 as configured
	Minutes float64  // further minutes of training; 0 as configured. With Steps, the run ends at the first of the two limits
	From    *int     // step of the checkpoint to continue from, 0 for the beginning; nil for the newest checkpoint before a step that diverged
	Set     []string // key=value assignments to Changeable keys, which apply from the next step on
	Data    []string // new paths of the run's text; none where it has not moved
	// AcceptConfig accepts that config.json, the tokenizer or the autoencoder's configuration was changed since calm wrote it.
	// Otherwise that is an error.
	AcceptConfig bool
	// Documents is the run's text in memory, in place of Data. A run that was trained on text from memory needs it.
	Documents iter.Seq2[corpus.Document, error]
}

// text reports whether the options give the run's text.
func (o ResumeOptions) text() bool { return len(o.Data) > 0 || o.Documents != nil }

// resume locks the run, restores its checkpoint and changes what the options ask for.
func (t *Training) resume(ctx context.Context, o ResumeOptions) (warnings []string, err error) {
	was := t.TrainConfig
	if err := t.change(o.Set); err != nil {
		return nil, err
	}
	if t.run, err = checkpoint.ResumeRun(t.Dir); err != nil {
		return nil, err
	}
	if err := train.Enough(t.Params); err != nil {
		return nil, &UsageError{err}
	}
	if err := t.initialize(); err != nil {
		return nil, err
	}
	if o.text() {
		t.Data, t.FromMemory = absolute(o.Data), o.Documents != nil
	}
	if err := t.open(ctx); err != nil {
		if !o.text() {
			err = t.gone(err)
		}
		return nil, err
	}
	t.loop.Run = t.run
	warnings, err = t.loop.Resume(loop.More{Steps: o.Steps, Minutes: o.Minutes, From: o.From, Was: &was})
	if err != nil {
		return warnings, limits(o, t.Dir, err)
	}
	if len(o.Set) > 0 && t.Finished() {
		return warnings, usage("--set %s: %s is finished after %d steps: add --steps or --minutes to train it further", o.Set[0], t.Dir, t.Steps())
	}
	t.TrainConfig = t.loop.Trainer.Config
	if o.AcceptConfig {
		if err := t.run.AcceptFiles(); err != nil {
			return warnings, err
		}
	}
	if !o.text() && t.TrainConfig == was {
		return warnings, nil
	}
	return warnings, t.writeConfig(t.run)
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

// changeable lists the keys that may change in the middle of a run. They change neither the model nor the order of the text.
var changeable = []string{"learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm", "lr_scheduler_type",
	"warmup_steps", "decay_fraction", "logging_steps", "eval_steps", "eval_blocks", "save_steps"}

// Changeable lists the keys that ResumeOptions.Set may change.
func Changeable() []string { return slices.Clone(changeable) }

// fixed lists the other keys of training, with the reason why they cannot change.
var fixed = map[string]string{
	"max_steps": "give --steps", "max_minutes": "give --minutes",
	"batch_size": order, "block_size": order, "gradient_accumulation_steps": order, "seed": order,
}

const order = "it decides which text each step is made on"

// change sets training keys of the run by assignments.
func (t *Training) change(sets []string) error {
	for _, s := range sets {
		key, _, _ := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if why := t.unchangeable(key); why != "" {
			return usage("--resume: --set %s: %s cannot change in the middle of a run: %s; these can: %s", s, key, why, strings.Join(changeable, ", "))
		}
	}
	c, err := config.Set(t.TrainConfig, sets) // reports unknown keys
	if err == nil {
		err = c.Validate()
	}
	if err == nil {
		t.TrainConfig = c
	}
	return err
}

// unchangeable returns the reason why a key of the run cannot change. It returns "" for changeable and for unknown keys.
func (t *Training) unchangeable(key string) string {
	switch {
	case slices.Contains(changeable, key):
		return ""
	case fixed[key] != "":
		return fixed[key]
	case notSet[key] != "":
		return notSet[key]
	}
	var keys map[string]any
	data, err := config.Encode(t.configFile)
	if err == nil {
		err = json.Unmarshal(data, &keys)
	}
	if _, known := keys[key]; err != nil || !known {
		return ""
	}
	return "it is part of the model"
}

// limits turns an error of loop.Loop.Resume into a *UsageError where the options caused it.
func limits(o ResumeOptions, dir string, err error) error {
	if errors.Is(err, loop.ErrData) {
		return usage("--resume %s: %w", dir, err)
	}
	if o.From != nil && errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return usage("--from %d: no such checkpoint: %w", *o.From, err)
	}
	if few, ok := errors.AsType[*loop.FewerStepsError](err); ok {
		want := fmt.Sprintf("more than %d", few.Made)
		if !few.Finished {
			want = fmt.Sprintf("%d to end it there, or more", few.Made)
		}
		return usage("--steps %d: %s has made %d steps already: want %s", o.Steps, dir, few.Made, want)
	}
	return err
}

// Changes lists the changes of training keys during the training, up to the newest checkpoint. It is empty for a run without
// checkpoints.
func (m *Model) Changes() ([]train.Change, error) {
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return nil, err
	}
	state, err := loop.ReadState(r)
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return nil, nil
	}
	return state.Changes, err
}
