package config

import "strings"

// Nearest returns the candidate that a mistyped name probably means, or "" where none is close. It is the candidate with the
// smallest distance in insertions, deletions, replacements and swaps of adjacent letters, if that is at most a third of the
// longer name's length. Case does not count. Of equally close candidates the first wins.
func Nearest(name string, candidates []string) string {
	if len(name) > 64 {
		return "" // no key is that long, and the search is quadratic
	}
	best, bestDistance := "", 0
	for _, c := range candidates {
		d := distance(strings.ToLower(name), strings.ToLower(c))
		if d <= max(len(c), len(name))/3 && (best == "" || d < bestDistance) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance returns the optimal string alignment distance of two short strings, in bytes.
func distance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
