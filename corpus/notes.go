package corpus

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/calm-go/calm/internal/plural"
)

// Notes list the parts of a source that were skipped.
type Notes struct {
	// Skipped lists the files and directories that were not read, by reason.
	Skipped []Skipped
	// Empty is the number of documents without text: empty files, and empty or null fields of JSON lines and Parquet.
	Empty int64
	// FirstEmpty is the source of the first of these, such as "a.jsonl:5"; "" if there is none.
	FirstEmpty string
}

// Skipped counts files and directories that were not read for the same reason.
type Skipped struct {
	Reason string   // such as "hidden"
	Count  int      // at least 1; a directory counts once, with all that is in it
	First  []string // paths of the first of them, at most 3
}

// maxSkippedNames is the largest number of paths in [Skipped.First].
const maxSkippedNames = 3

// Lines returns the notes for people: a line for each reason, none if nothing was skipped.
func (n Notes) Lines() []string {
	var lines []string
	for _, s := range n.Skipped {
		line := fmt.Sprintf("skipped %d (%s): %s", s.Count, s.Reason, strings.Join(s.First, ", "))
		if more := s.Count - len(s.First); more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, line)
	}
	if n.Empty > 0 {
		lines = append(lines, fmt.Sprintf("%s without text (empty or null), the first is %s", plural.Count(n.Empty, "document"), n.FirstEmpty))
	}
	return lines
}

// skip adds a path that is not read.
func (n *Notes) skip(path, reason string) {
	n.add(Notes{Skipped: []Skipped{{reason, 1, []string{path}}}})
}

// add adds the skipped paths of another directory.
func (n *Notes) add(more Notes) {
	for _, s := range more.Skipped {
		i := slices.IndexFunc(n.Skipped, func(have Skipped) bool { return have.Reason == s.Reason })
		if i < 0 {
			n.Skipped = append(n.Skipped, s)
			continue
		}
		have := &n.Skipped[i]
		have.Count += s.Count
		have.First = append(have.First, s.First[:min(len(s.First), maxSkippedNames-len(have.First))]...)
	}
}

// withText yields the documents with text and counts those without. It yields an error if there is none with text.
func (n *Notes) withText(docs iter.Seq2[Document, error]) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		some, within := false, false // within a document: its last part may be empty
		for d, err := range docs {
			begins := !within
			within = d.More
			if err == nil && len(d.Text) == 0 && begins && !d.More {
				if n.Empty++; n.Empty == 1 {
					n.FirstEmpty = d.String()
				}
				continue
			}
			some = true
			if !yield(d, err) {
				return
			}
		}
		if !some {
			yield(Document{}, errors.New(strings.Join(append([]string{errNoText.Error()}, n.Lines()...), "; ")))
		}
	}
}

var errNoText = errors.New("the corpus has no text")
