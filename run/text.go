package run

import "github.com/calm-go/calm/corpus"

// Source returns the text that the run is trained on.
func (c Common) Source() corpus.Source {
	return corpus.Source{Paths: c.Data, Field: c.Field, Memory: c.FromMemory}
}
