package loop

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// ErrData is returned when a run is resumed on another text than it began with.
var ErrData = errors.New("the data has changed since the run began")

// FewerStepsError is returned when a run is to end after fewer steps than it has made.
type FewerStepsError struct {
	Asked, Made int  // steps of the whole run: asked for, and made
	Finished    bool // the run is finished, so asking for as many as it has made changes nothing
}

// Error says how many steps are made and how many can be asked for.
func (e *FewerStepsError) Error() string {
	if e.Finished {
		return fmt.Sprintf("the run has made %d steps already, %d are asked for: want more than %d", e.Made, e.Asked, e.Made)
	}
	return fmt.Sprintf("the run has made %d steps already, %d are asked for: want %d to end it here, or more", e.Made, e.Asked, e.Made)
}

// More says how a resumed run continues. The zero value continues it as configured, from its newest checkpoint.
type More struct {
	// Steps is the number of steps of the whole run, those made included; 0: as configured. Without Minutes it also removes
	// the limit max_minutes.
	Steps int
	// Minutes is the further time to train, from the checkpoint on; 0: as configured. With Steps, the first limit that is
	// reached ends the run.
	Minutes float64
	// From is the step of the checkpoint to continue from: 0 is the beginning, nil the newest checkpoint.
	From *int
	// Was is the configuration before the caller changed Trainer.Config; nil: nothing was changed. It is needed for older
	// checkpoints, which do not hold the configuration that they were made with.
	Was *train.Config
}

// Resume restores a checkpoint of the run, if there is one: the newest, or the one that More asks for. It sets max_steps and
// max_minutes of Trainer.Config as asked. If the newest checkpoint was written after a step diverged, it restores the one
// before. Later checkpoints and lines of metrics are removed. Other keys of Trainer.Config may differ from the checkpoint's:
// Do writes each difference to metrics.jsonl as a train.Change. The warnings name damaged checkpoints that were skipped, and a
// step that diverged. The errors are ErrData, a *FewerStepsError, checkpoint.ErrNoCheckpoint for a checkpoint that was asked
// for, and a *config.Error for steps or minutes out of range; nothing is removed then.
func (l *Loop) Resume(more More) (warnings []string, err error) {
	saved, warnings, err := l.pick(more)
	if err != nil {
		return nil, err
	}
	step := -1
	if saved != nil {
		defer saved.Close()
		step = saved.Step
		if err := l.restore(saved); err != nil {
			return warnings, err
		}
	}
	if err := l.goOn(more); err != nil {
		return warnings, err
	}
	if err := l.Run.Rewind(step); err != nil {
		return warnings, err
	}
	_, err = l.Run.TrimMetrics(step)
	return warnings, err
}

// pick opens the checkpoint to continue from; it is nil for the beginning.
func (l *Loop) pick(more More) (saved *checkpoint.Saved, warnings []string, err error) {
	if more.From != nil {
		saved, err = l.Run.At(*more.From)
		if *more.From == 0 && errors.Is(err, checkpoint.ErrNoCheckpoint) {
			err = nil
		}
		return saved, nil, err
	}
	saved, err = l.Run.Latest()
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	warnings = saved.Warnings
	var state State
	if err := saved.Trainer(&state); err != nil || !state.Diverged {
		return saved, warnings, nil // restore returns this error
	}
	before, err := l.before(saved.Step)
	to := "the beginning"
	if before != nil {
		to = fmt.Sprintf("the checkpoint of step %d", before.Step)
	}
	warnings = append(warnings, fmt.Sprintf("training diverged after step %d: going back to %s", saved.Step, to))
	return before, warnings, errors.Join(err, saved.Close())
}

// before opens the newest undamaged checkpoint before a step; nil: there is none.
func (l *Loop) before(step int) (*checkpoint.Saved, error) {
	steps, err := l.Run.Steps()
	if err != nil {
		return nil, err
	}
	for _, earlier := range slices.Backward(steps) {
		if earlier >= step {
			continue
		}
		saved, err := l.Run.At(earlier)
		if _, damaged := errors.AsType[*checkpoint.DamagedError](err); !damaged {
			return saved, err
		}
	}
	return nil, nil
}

// restore puts back the state of a checkpoint.
func (l *Loop) restore(saved *checkpoint.Saved) error {
	if err := saved.Trainer(&l.state); err != nil {
		return err
	}
	if l.state.Data != l.Data {
		return fmt.Errorf("%w (fingerprint %.12s, not %.12s): put the original data back", ErrData, l.Data, l.state.Data)
	}
	if err := l.Batches.Seek(l.state.Position); err != nil {
		return err
	}
	if err := restoreTensors(l.Trainer.State(), saved); err != nil {
		return err
	}
	l.Trainer.SetSteps(saved.Step)
	l.spent, l.state.Diverged = l.state.Seconds, false
	return nil
}

// restoreTensors reads the trainer's tensors from a checkpoint. A tensor that the trainer does not know is an error: the
// checkpoint belongs to another model, and training would drop that tensor.
func restoreTensors(state []train.Tensor, saved *checkpoint.Saved) error {
	known := map[string]bool{}
	for _, t := range state {
		known[t.Name] = true
		from := saved.Model
		if t.TrainingOnly {
			from = saved.Optimizer
		}
		if err := from.ReadFloat32(t.Name, t.Data); err != nil {
			return err
		}
	}
	isKnown := func(name string) bool { return known[name] }
	return errors.Join(saved.Model.Only(isKnown), saved.Optimizer.Only(isKnown))
}

// Finished reports whether the run has nothing left to do, after Resume set how long it trains.
func (l *Loop) Finished() bool { return l.state.Finished }

// goOn sets how long the run trains, and notes the differences from its checkpoint's configuration.
func (l *Loop) goOn(more More) error {
	was := l.was(more)
	if err := l.limit(more); err != nil {
		return err
	}
	now := byKey(l.Trainer.Config)
	l.state.Changes = append(l.state.Changes, differences(was, now, l.Trainer.Steps()+1)...)
	c := l.Trainer.Config
	minutes := string(was["max_minutes"]) != string(now["max_minutes"])
	other := minutes || string(was["max_steps"]) != string(now["max_steps"]) || c.MaxMinutes == 0 && len(l.state.Decisions) > 0
	left := c.MaxSteps > l.Trainer.Steps() || c.MaxSteps == 0 && 60*c.MaxMinutes > l.spent
	if other && left {
		l.state.Finished = false
	}
	if c.MaxMinutes == 0 {
		l.state.Decisions = nil // max_steps decides now
	} else if minutes {
		l.state.Decisions, l.state.Since = nil, moment{Step: l.Trainer.Steps(), Seconds: l.spent}
	}
	return nil
}

// was returns the checkpoint's configuration, by key. An older checkpoint holds only max_steps.
func (l *Loop) was(more More) map[string]jsontext.Value {
	if l.state.Config != nil {
		return l.state.Config
	}
	c := l.Trainer.Config
	if more.Was != nil {
		c = *more.Was
	}
	if l.Trainer.Steps() > 0 {
		c.MaxSteps = l.state.MaxSteps
	}
	return byKey(c)
}

// limit sets max_steps and max_minutes. It changes nothing for a finished run that already has as many steps as asked.
func (l *Loop) limit(more More) error {
	made, c := l.Trainer.Steps(), l.Trainer.Config
	switch {
	case more.Steps > 0 && more.Steps < made:
		return &FewerStepsError{Asked: more.Steps, Made: made, Finished: l.state.Finished}
	case more.Steps > 0 && more.Steps == made && l.state.Finished:
		return nil
	case more.Minutes > 0:
		c.MaxSteps, c.MaxMinutes = more.Steps, l.spent/60+more.Minutes
	case more.Steps > 0:
		c.MaxSteps, c.MaxMinutes = more.Steps, 0
	default:
		return nil
	}
	if err := c.Validate(); err != nil {
		return err
	}
	l.Trainer.Config = c
	return nil
}
