package cpu

import "fmt"

// rowLoss is shared by the losses of rows [N, P]: the mean of the rows, weighted by position.
type rowLoss struct {
	noBackward
	p      *Program
	weight *buf // [P], nil for ones
	n, np  int
	cut    rows
	piece  func(worker, i int)
}

// perWeight is the factor of a row of weight 1 in the mean.
func (o *rowLoss) perWeight() float64 { return 1 / totalWeight(o.weight, o.n*o.np) }

// mean is the weighted mean of the terms of the rows. Terms of weight 0 are left out, even if they are not finite.
func (o *rowLoss) mean(terms []float32) float32 {
	sum := 0.
	for r, v := range terms {
		if w := weightOf(o.weight, r); w != 0 {
			sum += float64(w) * float64(v)
		}
	}
	return float32(sum * o.perWeight())
}

// checkTimes fails unless all times are integers from 0 to n-1.
func checkTimes(what string, times []float32, n int) error {
	for i, t := range times {
		if !(t >= 0 && t < float32(n)) || t != float32(int(t)) {
			return fmt.Errorf("%s has time %v at [%d]: want an integer from 0 to %d", what, t, i, n-1)
		}
	}
	return nil
}

// weightOf returns the weight of a row: 1 where weights is nil. Weights repeat where there are fewer than rows.
func weightOf(weights *buf, row int) float32 {
	if weights == nil {
		return 1
	}
	return weights.f[row%weights.size]
}

// totalWeight returns the sum of the weights of all rows, or 1 where it is 0.
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
