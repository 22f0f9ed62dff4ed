package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calm-go/calm"
)

// levels are how far below the entropy of human text curves are compared, in bits.
var levels = []float64{0, .25, .5, 1, 1.5}

// tables returns the tables of the models, and of the curves at equal diversity.
func tables(all []measured) string {
	var b strings.Builder
	b.WriteString("| model | steps | held-out scores in training |\n|---|---|---|\n")
	for _, m := range all {
		fmt.Fprintf(&b, "| %s | %d | %s |\n", m.name(), m.steps, m.trained())
	}
	book, ok := bookOf(all)
	var at []float64 // entropies at which curves are compared
	if ok {
		fmt.Fprintf(&b, "\nThe book's own text: %.3f ± %.3f bits a byte by the judge of bytes, %.3f ± %.3f by that of BPE tokens; entropy %.2f bits, %.1f %% distinct, %.1f %% repeated.\n",
			book.Bits["bytes"], book.Error["bytes"], book.Bits["bpe"], book.Error["bpe"], book.Entropy, 100*book.Distinct, 100*book.Repeated)
		b.WriteString(summary(all, book.Entropy))
		for _, d := range levels {
			at = append(at, book.Entropy-d)
		}
	}
	for _, m := range all {
		fmt.Fprintf(&b, "\n### %s\n\nBits a byte by the judge of the same vocabulary (%s):\n\n| sampler |", m.name(), m.vocabulary)
		for _, t := range append([]float64{1}, temperatures...) {
			fmt.Fprintf(&b, " T = %.2g |", t)
		}
		for _, h := range at {
			fmt.Fprintf(&b, " at entropy %.2f |", h)
		}
		fmt.Fprintf(&b, " above prefix, N = 200 |\n|---|%s\n", strings.Repeat("---|", 2+len(temperatures)+len(at)))
		curves := m.curves()
		widest := slices.IndexFunc(curves, func(c curve) bool { return c.Sampler == string(calm.Prefix) && c.Draws == 200 })
		for _, c := range curves {
			fmt.Fprintf(&b, "| %s |", c.label())
			for _, t := range append([]float64{1}, temperatures...) {
				cell := ""
				for _, r := range c.results {
					if r.Temperature == t {
						cell = fmt.Sprintf("%.2f (%.2f)", r.Bits[m.vocabulary], r.Entropy)
					}
				}
				fmt.Fprintf(&b, " %s |", cell)
			}
			for _, h := range at {
				if bits, ok := c.at(h, m.vocabulary); ok {
					fmt.Fprintf(&b, " %.2f |", bits)
				} else {
					b.WriteString(" |")
				}
			}
			cell := ""
			if widest >= 0 {
				if bits, ok := c.above(curves[widest], m.vocabulary); ok {
					cell = fmt.Sprintf("%+.2f", bits)
				}
			}
			fmt.Fprintf(&b, " %s |\n", cell)
		}
	}
	return b.String()
}

// summary returns a table of the cross entropy of language models at equal entropy: a row for each model and level, a column
// for each sampler.
func summary(all []measured, book float64) string {
	var b strings.Builder
	var columns []string
	for _, m := range all {
		for _, c := range m.curves() {
			if m.Kind != "ar" && !slices.Contains(columns, c.label()) {
				columns = append(columns, c.label())
			}
		}
	}
	fmt.Fprintf(&b, "\nBits a byte at equal entropy, by the judge of the same vocabulary:\n\n| model | entropy | %s |\n|---|---|%s\n",
		strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, m := range all {
		for _, level := range levels {
			cells, some := make([]string, len(columns)), false
			for _, c := range m.curves() {
				if bits, ok := c.at(book-level, m.vocabulary); ok && m.Kind != "ar" {
					cells[slices.Index(columns, c.label())], some = fmt.Sprintf("%.2f", bits), true
				}
			}
			if some {
				fmt.Fprintf(&b, "| %s | %.2f | %s |\n", m.name(), book-level, strings.Join(cells, " | "))
			}
		}
	}
	return b.String()
}

// trained says how well a run learned.
func (m measured) trained() string {
	if m.Kind == "ar" {
		return fmt.Sprintf("cross entropy %.3f nats a token", m.scores["cross_entropy"])
	}
	return fmt.Sprintf("Brier-1 %.1f, BrierLM %.2f", m.scores["brier_1"], m.scores["brier_lm"])
}

// bookOf returns the result of the human texts.
func bookOf(all []measured) (result, bool) {
	for _, m := range all {
		for _, r := range m.results {
			if r.Sampler == human {
				return r, true
			}
		}
	}
	return result{}, false
}
