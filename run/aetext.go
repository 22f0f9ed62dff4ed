package run

import (
	"errors"
	"fmt"
	"os"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// giveText has a language model over an autoencoder train on the autoencoder's text. That there is no such text any more is
// a *UsageError, which asks for another.
func (m *Model) giveText(o *Options) error {
	switch {
	case o.Field != "":
		return usage("--field %s: without --data the text is that of the autoencoder %s: give --data with it, or leave it out", o.Field, m.Dir)
	case m.FromMemory:
		return usage("--ae: %s was trained on text from memory, which is kept nowhere: give the text as --data PATH", m.Dir)
	case m.Imported != "" && len(m.Data) == 0:
		return usage("--ae: %s was imported from %s, and what it was trained on is not known here: give the text as --data PATH", m.Dir, m.Imported)
	}
	for _, path := range m.Data {
		if _, err := os.Stat(path); err != nil {
			return usage("--ae: the text that %s was trained on cannot be read (%w): give the text as --data PATH", m.Dir, err)
		}
	}
	o.Data, o.Field = m.Data, m.Field
	return nil
}

// sameText refuses a text that is not what an autoencoder was trained on, though it lies at the same place. A run without
// checkpoints cannot tell.
func (m *Model) sameText(text *corpus.Corpus) error {
	r, err := checkpoint.OpenRun(m.Dir)
	if err != nil {
		return err
	}
	switch was, err := train.TrainedOn(r); {
	case errors.Is(err, checkpoint.ErrNoCheckpoint):
	case err != nil:
		return fmt.Errorf("compare the text with what %s was trained on: %w", m.Dir, err)
	case was != text.Fingerprint():
		return usage("--ae: %s has changed since %s was trained on it: give the text as --data PATH, that one or another", m.Source(), m.Dir)
	}
	return nil
}
