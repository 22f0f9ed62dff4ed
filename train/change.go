package train

import (
	"fmt"

	"github.com/go-json-experiment/json"
)

// Decision is the number of steps that a run with max_minutes fixed by its speed. Checkpoints keep it, so that the run can be
// repeated and resumed.
type Decision struct {
	Step    int     `json:"step"`    // steps made when it was decided
	Total   int     `json:"total"`   // steps of the whole run
	Seconds float64 `json:"seconds"` // seconds of training when it was decided
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
