package corpus

import (
	"fmt"
	"strings"
)

// DefaultField is the field of JSON lines, and the column of Parquet, that holds the text.
const DefaultField = "text"

// A field is the name of a member of a JSON object or of a Parquet column. Names with dots between them lead through nested
// objects or groups.
type field string

// path returns the names, from the outermost on.
func (f field) path() []string { return strings.Split(string(f), ".") }

// chooseField ends a message that lists the fields.
const chooseField = ": choose one with --field NAME, or leave the file out"

// maxListed is the largest number of names that a message lists.
const maxListed = 20

// listed quotes names for a message.
func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, name := range names {
		switch {
		case i == maxListed:
			return b.String() + " and more"
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.60q", name)
	}
	return b.String()
}
