package corpus

import (
	"fmt"
	"strings"
)

// DefaultField is the field of JSON lines, and the column of Parquet, that holds the text.
const DefaultField = "text"

// A field is a name, or names with dots between them: that of an object, or group, and that of a member of it.
type field string

// path returns the names.
func (f field) path() []string { return strings.Split(string(f), ".") }

// chooseField follows a list of the fields that there are.
const chooseField = ": choose one with --field NAME"

// maxListed is how many names a message lists.
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
