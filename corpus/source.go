package corpus

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// A Source says which text is meant: what --data and --field of a command say. The zero value is the embedded book.
type Source struct {
	// Paths are files and directories, or a single prepared directory; [Stdin] is standard input. None is the embedded
	// book, unless Memory is set.
	Paths []string
	// Field names the field of JSON lines and the column of Parquet that holds the text. Names with dots between them
	// lead into objects and groups: "meta.text". "" is [DefaultField]. Standard input is JSON lines where Field is set,
	// and one document of plain text where it is "".
	Field string
	// Memory marks text that a program gave. It is kept nowhere, so that reading it without Documents is [ErrMemory].
	Memory bool
	// Documents is text from memory (Memory has to be set too). Reading it tokenizes the documents, once.
	Documents iter.Seq2[Document, error]
	// Input is what [Stdin] among the paths reads. Where it is nil, standard input is refused.
	Input io.Reader
}

// Stdin is the path that means standard input.
const Stdin = "-"

// ErrMemory is returned for a source in a program's memory: only the program has the text.
var ErrMemory = errors.New("the text was in a program's memory and is kept nowhere: give it again")

// String names the text for people: "the embedded book", "a.txt, b.txt".
func (s Source) String() string {
	switch {
	case s.Memory:
		return "text from memory"
	case len(s.Paths) == 0:
		return "the embedded book"
	}
	names := slices.Clone(s.Paths)
	for i, name := range names {
		if name == Stdin {
			names[i] = stdinName
		}
	}
	text := strings.Join(names, ", ")
	if f := s.field(); f != DefaultField {
		text += fmt.Sprintf(" (field %q)", f)
	}
	return text
}

// stdinName is the Source of documents from standard input.
const stdinName = "standard input"

// Prepared reports whether the source is a prepared directory.
func (s Source) Prepared() bool {
	return !s.Memory && len(s.Paths) == 1 && s.Paths[0] != Stdin && IsPrepared(s.Paths[0])
}

func (s Source) field() field {
	if s.Field == "" {
		return DefaultField
	}
	return field(s.Field)
}

// check refuses what cannot be read whatever lies at the paths.
func (s Source) check() error {
	switch stdin := slices.Index(s.Paths, Stdin); {
	case s.Memory && s.Documents == nil:
		return ErrMemory
	case slices.Contains(s.field().path(), ""):
		return fmt.Errorf("the field %q has an empty name: give one name, or names with single dots between them", s.Field)
	case stdin >= 0 && s.Input == nil:
		return errors.New("standard input (-) can be read only once, and a run reads its text again when it is resumed and measured: prepare it (calm data prepare --data - --out DIR) and give DIR, or write it to a file")
	case stdin >= 0 && slices.Contains(s.Paths[stdin+1:], Stdin):
		return errors.New("standard input (-) is named twice")
	case len(s.Paths) == 0 && s.field() != DefaultField:
		return fmt.Errorf("the embedded book has no field %q: leave --field out, or name other text", s.Field)
	case s.Prepared() && s.field() != DefaultField:
		return fmt.Errorf("%s is prepared: its field was chosen when it was prepared; leave --field out", s.Paths[0])
	}
	return nil
}
