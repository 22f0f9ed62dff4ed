package cpu

import "fmt"

// rowLoss is what losses of rows [N, P] share: their mean under the weights of the positions.
type rowLoss struct {
	noBackward
	p      *Program
	weight *buf // [P], nil for ones
	n, np  int
	cut    rows
	piece  func(worker, i int)
}

// perWeight is what a row of weight 1 counts.
func (o *rowLoss) perWeight() float64 { return 1 / totalWeight(o.weight, o.n*o.np) }

// mean averages the terms of the rows; those of no weight are left out, whatever they are.
func (o *rowLoss) mean(terms []float32) float32 {
	sum := 0.
	for r, v := range terms {
		if w := weightOf(o.weight, r); w != 0 {
			sum += float64(w) * float64(v)
		}
	}
	return float32(sum * o.perWeight())
}

// checkTimes fails unless all times are whole numbers from 0 to n-1.
func checkTimes(what string, times []float32, n int) error {
	for i, t := range times {
		if !(t >= 0 && t < float32(n)) || t != float32(int(t)) {
			return fmt.Errorf("%s has time %v at [%d]: want a whole number from 0 to %d", what, t, i, n-1)
		}
	}
	return nil
}

// weightOf returns what a row counts in a mean: 1 without weights, of which a vector with fewer than there are rows repeats.
func weightOf(weights *buf, row int) float32 {
	if weights == nil {
		return 1
	}
	return weights.f[row%weights.size]
}

// totalWeight returns what all rows count together, 1 where none counts.
func totalWeight(weights *buf, rows int) float64 {
	if weights == nil {
		return float64(rows)
	}
	var total float64
	for _, w := range weights.f {
		total += float64(w)
	}
	if total == 0 {
		return 1
	}
	return total * float64(rows/weights.size)
}
