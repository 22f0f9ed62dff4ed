package run

import "github.com/calm-go/calm/internal/loop"

// Loop returns the loop of a training. Tests make it fail.
func (t *Training) Loop() *loop.Loop { return t.loop }
