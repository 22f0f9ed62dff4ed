// Package plural writes counts in English, 1 document, 2 documents, and shortens lists and texts for messages.
package plural

import (
	"fmt"
	"strings"
)

// Count returns n and the thing in singular or plural. thing is in the singular. Of several words the first is put into the
// plural: "token of text" becomes "tokens of text".
func Count[N ~int | ~int32 | ~int64 | ~uint64](n N, thing string) string {
	return fmt.Sprintf("%d %s", n, Of(n, thing))
}

// Of returns the thing alone, in singular or plural.
func Of[N ~int | ~int32 | ~int64 | ~uint64](n N, thing string) string {
	if n == 1 {
		return thing
	}
	first, rest, _ := strings.Cut(thing, " ")
	switch {
	case strings.HasSuffix(first, "ch"), strings.HasSuffix(first, "s"), strings.HasSuffix(first, "x"):
		first += "es"
	case strings.HasSuffix(first, "y") && !strings.HasSuffix(first, "ay") && !strings.HasSuffix(first, "ey"):
		first = strings.TrimSuffix(first, "y") + "ies"
	default:
		first += "s"
	}
	if rest != "" {
		return first + " " + rest
	}
	return first
}

// MaxLines is how many elements of a list people are shown.
const MaxLines = 30

// Lines returns the first MaxLines elements of a list, and for the rest one element with their number.
func Lines[T any](list []T, line func(T) string) []string {
	var lines []string
	for i, e := range list {
		if i == MaxLines {
			return append(lines, fmt.Sprintf("and %d more", len(list)-i))
		}
		lines = append(lines, line(e))
	}
	return lines
}

// Shorten cuts a text to 60 characters, for messages.
func Shorten(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return s
}
