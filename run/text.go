package run

import (
	"context"

	"github.com/calm-go/calm/corpus"
)

// Source returns the text that the run is trained on.
func (c Common) Source() corpus.Source {
	return corpus.Source{Paths: c.Data, Field: c.Field, Memory: c.FromMemory}
}

// badText says of an error from reading a source that it is the user's to set right, and where.
func badText(ctx context.Context, src corpus.Source, err error) error {
	if src.Documents != nil {
		return BadText(ctx, "text from memory: ", err)
	}
	return BadText(ctx, "--data: ", err)
}
