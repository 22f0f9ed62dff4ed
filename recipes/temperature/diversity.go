package main

import "math"

const (
	gram = 4  // bytes of the n-grams that diversity is measured by
	long = 16 // bytes of those that repetition is measured by
)

// diversity says how varied texts are.
type diversity struct {
	Entropy  float64 `json:"entropy"`  // of the distribution of 4-grams of bytes, in bits
	Distinct float64 `json:"distinct"` // different 4-grams of bytes, as a share of all
	Repeated float64 `json:"repeated"` // share of the sequences of 16 bytes that occur earlier in these texts
}

func diversityOf(texts [][]byte) diversity {
	short, _ := grams(texts, gram)
	repeats, n := grams(texts, long)
	d := diversity{Entropy: entropy(short), Distinct: 1 - repeated(short)}
	if n > 0 {
		d.Repeated = repeated(repeats)
	}
	return d
}

// grams counts the sequences of n bytes within texts, and how many there are in all.
func grams(texts [][]byte, n int) (counts map[string]int, total int) {
	counts = map[string]int{}
	for _, text := range texts {
		for i := range len(text) - n + 1 {
			counts[string(text[i:i+n])]++
			total++
		}
	}
	return counts, total
}

// entropy returns the entropy of a distribution in bits.
func entropy(counts map[string]int) (h float64) {
	total := 0
	for _, c := range counts {
		total += c
	}
	for _, c := range counts {
		p := float64(c) / float64(total)
		h -= p * math.Log2(p)
	}
	return h
}

// repeated returns the share of occurrences that are not the first.
func repeated(counts map[string]int) float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	return 1 - float64(len(counts))/float64(max(1, total))
}
