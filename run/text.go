package run

import (
	"context"

	"github.com/calm-go/calm/corpus"
)

// Source returns the source of the run's text. For text from memory it lacks the documents.
func (c Common) Source() corpus.Source {
	return corpus.Source{Paths: c.Data, Field: c.Field, Memory: c.FromMemory}
}

// badText turns an error from reading a source into a *UsageError that names the source: the text is the user's input. If ctx
// has ended, the error stays as it is.
func badText(ctx context.Context, src corpus.Source, err error) error {
	switch {
	case ctx.Err() != nil:
		return err
	case src.Documents != nil:
		return usage("text from memory: %w", err)
	}
	return usage("--data: %w", err)
}
