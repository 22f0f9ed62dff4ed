package loop

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// State is the loop's part of a checkpoint.
type State struct {
	Position  corpus.Position    `json:"position"`                   // of the next batch
	Data      corpus.Fingerprint `json:"data"`                       // of the training text
	Seconds   float64            `json:"seconds"`                    // of training
	Decisions []train.Decision   `json:"decisions"`                  // of a run with max_minutes; only the last one applies
	MaxSteps  int                `json:"max_steps"`                  // steps that the run was to make
	Measured  int                `json:"measured"`                   // steps made at the last measurement
	Finished  bool               `json:"finished"`                   // all steps and the last measurement are made
	Without   int                `json:"without_auxiliary,omitzero"` // steps made with auxiliary losses off; older checkpoints do not count them

	// Config is the configuration that the last steps were made with, by key. Older checkpoints have none.
	Config  map[string]jsontext.Value `json:"config,omitzero"`
	Changes []train.Change            `json:"changes,omitzero"`
	Since   moment                    `json:"since,omitzero"` // when max_minutes was last set
	// Diverged reports that the step after the checkpoint diverged.
	Diverged bool `json:"diverged,omitzero"`
}

// moment is a point in a run's training.
type moment struct {
	Step    int     `json:"step"`    // steps made
	Seconds float64 `json:"seconds"` // seconds of training
}

// ReadState returns the state in a run's newest checkpoint. The error is checkpoint.ErrNoCheckpoint where the run has none.
func ReadState(r *checkpoint.Run) (State, error) {
	var s State
	err := r.Trainer(&s)
	return s, err
}

// limits are the keys that say how long a run trains. They may change at any time, so they are not listed as changes.
var limits = []string{"max_steps", "max_minutes"}

// differences lists the keys whose values differ, without the limits.
func differences(was, now map[string]jsontext.Value, step int) (list []train.Change) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		old, known := was[key]
		if !known || string(old) == string(now[key]) || slices.Contains(limits, key) {
			continue
		}
		c := train.Change{Step: step, Key: key}
		if json.Unmarshal(old, &c.Old) == nil && json.Unmarshal(now[key], &c.New) == nil {
			list = append(list, c)
		}
	}
	return list
}

// byKey returns a configuration by key, as a checkpoint holds it.
func byKey(c train.Config) map[string]jsontext.Value {
	var keys map[string]jsontext.Value
	data, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(data, &keys)
	}
	if err != nil { // a number that is not finite, which Validate refuses
		panic(fmt.Sprintf("loop: configuration %+v: %v", c, err))
	}
	return keys
}
