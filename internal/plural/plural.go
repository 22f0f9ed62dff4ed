// Package plural counts things in English: 1 document, 2 documents.
package plural

import (
	"fmt"
	"strings"
)

// Count says how many there are of a thing, which is given in the singular; of several words the first is the thing:
// "token of text".
func Count[N ~int | ~int32 | ~int64 | ~uint64](n N, thing string) string {
	return fmt.Sprintf("%d %s", n, Of(n, thing))
}

// Of is the thing alone, in the number of n.
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
