package run

import (
	"os"

	"github.com/calm-go/calm/corpus"
)

// giveText makes the text that the autoencoder m was trained on the text of o. Where that text cannot be read any more, the
// error is a *UsageError that asks for --data.
func (m *Model) giveText(o *Options) error {
	switch {
	case o.Field != "":
		return usage("--field %s: without --data the text is that of the autoencoder %s: add --data, or leave out --field", o.Field, m.Dir)
	case m.FromMemory:
		return usage("--ae: %s was trained on text from memory, which is not saved: give the text as --data PATH", m.Dir)
	case m.Imported != "" && len(m.Data) == 0:
		return usage("--ae: %s was imported from %s, and its training text is not known: give the text as --data PATH", m.Dir, m.Imported)
	}
	for _, path := range m.Data {
		if _, err := os.Stat(path); err != nil {
			return usage("--ae: the text that %s was trained on cannot be read (%w): give the text as --data PATH", m.Dir, err)
		}
	}
	o.Data, o.Field = m.Data, m.Field
	return nil
}

// sameText returns a *UsageError if the text has changed since the autoencoder m was trained on it. A run without checkpoints
// has no fingerprint to compare: it accepts any text.
func (m *Model) sameText(text *corpus.Corpus) error {
	was, known, err := m.fingerprint()
	if err == nil && known && was != text.Fingerprint() {
		err = usage("--ae: %s has changed since %s was trained on it: give this text or another as --data PATH", m.Source(), m.Dir)
	}
	return err
}
