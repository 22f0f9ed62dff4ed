package train

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
)

// loopState is the trainer's part of a checkpoint.
type loopState struct {
	Position  corpus.Position    `json:"position"`                   // of the next batch
	Data      corpus.Fingerprint `json:"data"`                       // of the training text
	Seconds   float64            `json:"seconds"`                    // of training
	Decisions []Decision         `json:"decisions"`                  // of a run with max_minutes; only the last one applies
	MaxSteps  int                `json:"max_steps"`                  // steps that the run was to make
	Measured  int                `json:"measured"`                   // steps made at the last measurement
	Finished  bool               `json:"finished"`                   // all steps and the last measurement are made
	Without   int                `json:"without_auxiliary,omitzero"` // steps made with auxiliary losses off

	// Config is the configuration that the last steps were made with, by key. Older checkpoints have none.
	Config  map[string]jsontext.Value `json:"config,omitzero"`
	Changes []Change                  `json:"changes,omitzero"`
	Since   Moment                    `json:"since,omitzero"` // when max_minutes was last set
	// Diverged reports that the step after the checkpoint diverged.
	Diverged bool `json:"diverged,omitzero"`
}

// Decision is the number of steps that a run with max_minutes fixed by its speed. Checkpoints keep it, so that the run can be
// repeated and resumed.
type Decision struct {
	Step    int     `json:"step"`    // steps made when it was decided
	Total   int     `json:"total"`   // steps of the whole run
	Seconds float64 `json:"seconds"` // seconds of training when it was decided
}

// Moment is a point in a run's training.
type Moment struct {
	Step    int     `json:"step"`    // steps made
	Seconds float64 `json:"seconds"` // seconds of training
}

// Change records that a run continued with another value of a configuration key.
type Change struct {
	Step int    `json:"step"` // the first step that the new value applies to, from 1
	Key  string `json:"key"`  // of config.json's training section
	Old  any    `json:"old"`  // a float64 or a string
	New  any    `json:"new"`  // a float64 or a string
}

// String returns the change for people: "from step 5: learning_rate 0.001 -> 0.0005".
func (c Change) String() string {
	return fmt.Sprintf("from step %d: %s %s -> %s", c.Step, c.Key, text(c.Old), text(c.New))
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// WithoutAuxiliary returns how many of a run's steps were made with the auxiliary loss off; 0 for an old run that did not
// count them. The error is checkpoint.ErrNoCheckpoint where the run has no checkpoint.
func WithoutAuxiliary(r *checkpoint.Run) (int, error) {
	var s loopState
	err := r.Trainer(&s)
	return s.Without, err
}

// TrainedOn returns the fingerprint of the text that a run trains on, from its newest checkpoint. The error is
// checkpoint.ErrNoCheckpoint where the run has none.
func TrainedOn(r *checkpoint.Run) (corpus.Fingerprint, error) {
	var s loopState
	err := r.Trainer(&s)
	return s.Data, err
}

// Changes returns the changes of a run's configuration up to its newest checkpoint, oldest first. The error is
// checkpoint.ErrNoCheckpoint where the run has none.
func Changes(r *checkpoint.Run) ([]Change, error) {
	var s loopState
	err := r.Trainer(&s)
	return s.Changes, err
}

// limits are the keys that say how long a run trains. They may change at any time, so they are not listed as changes.
var limits = []string{"max_steps", "max_minutes"}

// differences lists the keys whose values differ, without the limits.
func differences(was, now map[string]jsontext.Value, step int) (list []Change) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		old, known := was[key]
		if !known || string(old) == string(now[key]) || slices.Contains(limits, key) {
			continue
		}
		c := Change{Step: step, Key: key}
		if json.Unmarshal(old, &c.Old) == nil && json.Unmarshal(now[key], &c.New) == nil {
			list = append(list, c)
		}
	}
	return list
}

// byKey returns a configuration by key, as a checkpoint holds it.
func byKey(c Config) map[string]jsontext.Value {
	var keys map[string]jsontext.Value
	data, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(data, &keys)
	}
	if err != nil { // a number that is not finite, which Validate refuses
		panic(fmt.Sprintf("train: configuration %+v: %v", c, err))
	}
	return keys
}
