package corpus

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/calm-go/calm/internal/plural"
)

// Notes tell what of a source gave no document.
type Notes struct {
	// Skipped are what lies in the directories and was not read, by reason.
	Skipped []Skipped
	// Empty counts the documents without text: empty or null fields of JSON lines, rows of Parquet, and files.
	Empty int64
	// FirstEmpty says where the first of them stands: "a.jsonl:5". "" if there is none.
	FirstEmpty string
}

// Skipped are files, and directories with all that is in them, that were not read for one reason.
type Skipped struct {
	Reason string   // such as "hidden"
	Count  int      // at least 1
	First  []string // paths of the first of them, at most 3
}

// maxSkippedNames is how many paths stand in [Skipped.First].
const maxSkippedNames = 3

// Lines says it for people, in a line for each reason; none if nothing was passed over.
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

// skip notes a path that is not read.
func (n *Notes) skip(path, reason string) {
	n.add(Notes{Skipped: []Skipped{{reason, 1, []string{path}}}})
}

// add adds what lies in another directory.
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

// withText passes documents on and notes those without text. That none has any is an error.
func (n *Notes) withText(docs iter.Seq2[Document, error]) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		some := false
		for d, err := range docs {
			if err == nil && len(d.Text) == 0 {
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
