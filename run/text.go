package run

import (
	"context"

	"github.com/calm-go/calm/corpus"
)

// Source returns the source of the run's text. For text from memory it lacks the documents.
func (c Common) Source() corpus.Source {
	return corpus.Source{Paths: c.Data, Field: c.Field, Memory: c.FromMemory}
}

// badText turns an error from reading a source into a *UsageError that names the source.
func badText(ctx context.Context, src corpus.Source, err error) error {
	if src.Documents != nil {
		return BadText(ctx, "text from memory: ", err)
	}
	return BadText(ctx, "--data: ", err)
}
