package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// ResumeOptions say how a run goes on. The zero value: as it was to.
type ResumeOptions struct {
	Kind    Kind     // what the run has to be; "": anything
	Steps   int      // to make in all, those made included; 0: as configured. They count instead of minutes
	Minutes float64  // to train further; 0: as configured. With Steps, what comes first ends the run
	From    *int     // the step of the checkpoint to go on from, 0 also for the beginning; nil: the newest before a step that diverged
	Set     []string // key=value of Changeable keys, which hold from the next step on
	Data    []string // where the run's text lies now; none: where it lay
	// Documents is the run's text again, of a program that has it in memory; in place of Data.
	Documents iter.Seq2[corpus.Document, error]
}

// text reports whether the options say where the run's text is now.
func (o ResumeOptions) text() bool { return len(o.Data) > 0 || o.Documents != nil }

// changeable are the keys that may change in the middle of a run: those that change neither the model nor the order of
// the text.
var changeable = []string{"learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm", "lr_scheduler_type",
	"warmup_steps", "decay_fraction", "logging_steps", "eval_steps", "eval_blocks", "save_steps"}

// Changeable returns the keys that ResumeOptions.Set can have.
func Changeable() []string { return slices.Clone(changeable) }

// fixed are other keys of training, with the reason why they cannot change.
var fixed = map[string]string{
	"max_steps": "give --steps", "max_minutes": "give --minutes",
	"batch_size": order, "block_size": order, "gradient_accumulation_steps": order, "seed": order,
}

const order = "it decides which text each step is made on"

// change lays assignments over the training keys of the run.
func (t *Training) change(sets []string) error {
	for _, s := range sets {
		key, _, _ := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if why := t.unchangeable(key); why != "" {
			return usage("--resume: --set %s: %s cannot change in the middle of a run: %s; these can: %s", s, key, why, strings.Join(changeable, ", "))
		}
	}
	c, err := config.Set(t.TrainConfig, sets) // which knows what to say of other keys
	if err == nil {
		err = c.Validate()
	}
	if err == nil {
		t.TrainConfig = c
	}
	return err
}

// unchangeable says why a key of the run cannot change; "" where it can, or is none.
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

// limits says for the user what Loop.Resume refuses.
func limits(o ResumeOptions, dir string, err error) error {
	if errors.Is(err, train.ErrData) {
		return usage("--resume %s: %w", dir, err)
	}
	if o.From != nil && errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return usage("--from %d: there is no such checkpoint: %w", *o.From, err)
	}
	if few, ok := errors.AsType[*train.FewerStepsError](err); ok {
		want := fmt.Sprintf("more than %d", few.Made)
		if !few.Finished {
			want = fmt.Sprintf("%d to end it there, or more", few.Made)
		}
		return usage("--steps %d: %s has made %d steps already: want %s", o.Steps, dir, few.Made, want)
	}
	return err
}

// Changes returns how the run's training keys changed while it was trained, up to its newest checkpoint.
func (m *Model) Changes() ([]train.Change, error) {
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return nil, err
	}
	list, err := train.Changes(r)
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return nil, nil
	}
	return list, err
}

// diverged says how a run that diverged can go on.
func (t *Training) diverged(err error) error {
	if _, ok := errors.AsType[*train.DivergedError](err); !ok || t.run == nil {
		return err
	}
	return fmt.Errorf("%w; calm train --resume %s --set learning_rate=%g goes on from the checkpoint before", err, t.Dir, t.LearningRate/2)
}
