package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/internal/checkpoint"
)

// ErrData says that a run is to go on with another text than it began with.
var ErrData = errors.New("the data has changed since the run began")

// FewerStepsError says that a run is to end after fewer steps than it has made.
type FewerStepsError struct {
	Asked, Made int  // steps in all
	Finished    bool // the run is finished: as many as it has made change nothing
}

// Error says how many steps are made and how many can be asked for.
func (e *FewerStepsError) Error() string {
	if e.Finished {
		return fmt.Sprintf("the run has made %d steps already, %d are asked for: want more than %d", e.Made, e.Asked, e.Made)
	}
	return fmt.Sprintf("the run has made %d steps already, %d are asked for: want %d to end it here, or more", e.Made, e.Asked, e.Made)
}

// More says how a resumed run goes on. Its zero value: as it was to.
type More struct {
	Steps   int     // to make in all, those made included, 0 for as many as configured; they count instead of minutes
	Minutes float64 // to train further, from the checkpoint on, 0 for as configured; with Steps, what comes first ends the run
	From    *int    // the step of the checkpoint to go on from, 0 also for the beginning; nil for the newest
	// Was is the configuration before the caller changed Trainer.Config, for checkpoints that do not say what they were
	// made with; nil where nothing was changed.
	Was *Config
}

// Resume takes up a checkpoint of the run, the newest or the one asked for, if there is one, and sets max_steps and
// max_minutes of Trainer.Config to what was asked for. After a step that diverged it takes the checkpoint before the one
// that was saved then. Later checkpoints and lines of metrics are removed. Other keys of Trainer.Config may differ from the
// checkpoint's: Do writes each into metrics.jsonl as a Change. The errors are ErrData, a *FewerStepsError,
// checkpoint.ErrNoCheckpoint for a checkpoint that was asked for, and a *config.Error for minutes or steps out of range;
// nothing is removed then. The warnings say what of the run was damaged or diverged.
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

// pick opens the checkpoint to go on from; nil stands for the beginning.
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
	var state loopState
	if err := saved.Trainer(&state); err != nil || !state.Diverged {
		return saved, warnings, nil // restore tells the error
	}
	before, err := l.before(saved.Step)
	to := "the beginning"
	if before != nil {
		to = fmt.Sprintf("the checkpoint of step %d", before.Step)
	}
	warnings = append(warnings, fmt.Sprintf("training diverged after step %d: going back to %s", saved.Step, to))
	return before, warnings, errors.Join(err, saved.Close())
}

// before opens the newest checkpoint before a step that is whole; nil where there is none.
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

// restore puts back what is in a checkpoint.
func (l *Loop) restore(saved *checkpoint.Saved) error {
	if err := saved.Trainer(&l.state); err != nil {
		return err
	}
	if l.state.Data != l.Data {
		return fmt.Errorf("%w (fingerprint %.12s, not %.12s): put back what it was", ErrData, l.Data, l.state.Data)
	}
	if err := l.Batches.Seek(l.state.Position); err != nil {
		return err
	}
	if err := l.Trainer.Restore(saved.Step, saved.Model, saved.Optimizer); err != nil {
		return err
	}
	l.spent, l.state.Diverged = l.state.Seconds, false
	return nil
}

// Finished reports whether the run was finished before, and still is with what it is asked for now.
func (l *Loop) Finished() bool { return l.state.Finished }

// goOn sets how long the run trains, and takes up what differs from the configuration of its checkpoint.
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
		l.state.Decisions = nil // what the clock decided is void
	} else if minutes {
		l.state.Decisions, l.state.Since = nil, Moment{Step: l.Trainer.Steps(), Seconds: l.spent}
	}
	return nil
}

// was returns the configuration of the checkpoint. An older checkpoint says only max_steps.
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

// limit sets max_steps and max_minutes. A finished run that is asked for as many steps as it has made stays as it is.
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
