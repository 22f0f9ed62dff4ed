package corpus

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Source names a text, like the flags --data and --field of a command. The zero value is the embedded book.
type Source struct {
	// Paths are files and directories, or a single prepared directory. [Stdin] is standard input. Without paths, the source
	// is the embedded book, or if Memory is set, Documents.
	Paths []string
	// Field is the name of the field of JSON lines, or the column of Parquet, that holds the text. Names with dots between
	// them lead into objects and groups: "meta.text". "" is [DefaultField]. Standard input is read as JSON lines if Field is
	// set, else as one document of plain text.
	Field string
	// Memory marks text that a program provides. It is not stored, so reading it without Documents is [ErrMemory].
	Memory bool
	// Documents yields the text if Memory is set. It is iterated over once.
	Documents iter.Seq2[Document, error]
	// Input is read for the path [Stdin]. If it is nil, the text has to be read more than once: then that path is an error, and so
	// is a pipe.
	Input io.Reader
}

// Stdin is the path of standard input.
const Stdin = "-"

// ErrMemory is returned for a source in a program's memory: only the program has the text.
var ErrMemory = errors.New("the text was in a program's memory and is not stored: give it again")

// String returns the source's name for people: "the embedded book", "a.txt, b.txt".
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

// readTwice says why a text that can be read once will not do, and what to do.
const readTwice = "can be read only once, and a run reads its text again when it is resumed and measured: prepare it (calm data prepare --data - --out DIR) and give DIR, or write it to a file"

// check returns an error for a source that cannot be read, whatever the files are.
func (s Source) check() error {
	switch stdin := slices.Index(s.Paths, Stdin); {
	case s.Memory && s.Documents == nil:
		return ErrMemory
	case slices.Contains(s.field().path(), ""):
		return fmt.Errorf("the field %q has an empty name: give one name, or names with single dots between them", s.Field)
	case slices.ContainsFunc(s.Paths, func(path string) bool { return !utf8.ValidString(path) }):
		return fmt.Errorf("the path of %q is not UTF-8, so it cannot be recorded with the run or the corpus: rename it", s.Paths)
	case stdin >= 0 && s.Input == nil:
		return errors.New("standard input (-) " + readTwice)
	case stdin >= 0 && slices.Contains(s.Paths[stdin+1:], Stdin):
		return errors.New("standard input (-) is named twice")
	case len(s.Paths) == 0 && s.field() != DefaultField:
		return fmt.Errorf("the embedded book has no field %q: leave --field out, or name other text", s.Field)
	case s.Prepared() && s.field() != DefaultField:
		return fmt.Errorf("%s is prepared: its field was chosen when it was prepared; leave --field out", s.Paths[0])
	}
	return nil
}
