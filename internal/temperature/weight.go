package temperature

import (
	"fmt"
	"math"
)

// weigher computes the weights of counts whose largest is known, relative to the weight of the largest.
type weigher struct {
	s       float64 // 1/T, cut to the largest count
	largest int
	log     float64 // logFalling of the largest count
}

func newWeigher(s float64, largest int) weigher {
	s = min(s, float64(largest))
	return weigher{s, largest, logFalling(largest, s)}
}

// weight returns w(c)/w(largest), in [0, 1]: see the package's comment.
func (w weigher) weight(c int) float64 {
	switch {
	case c == w.largest:
		return 1
	case float64(c) <= w.s-1:
		return 0
	}
	return math.Exp(logFalling(c, w.s) - w.log)
}

// logFalling returns log(c! / Gamma(c+1-s)) for 1 <= s < c+1.
func logFalling(c int, s float64) float64 {
	x, y := float64(c)+1, float64(c)+1-s
	if y < 16 {
		gx, _ := math.Lgamma(x)
		gy, _ := math.Lgamma(y)
		return gx - gy
	}
	// Stirling's series for both, put together so that large terms do not cancel: the difference of two logarithms of
	// Gamma near 1e6 would lose seven digits.
	return s*(math.Log(x)-1) - (y-.5)*math.Log1p(-s/x) + stirling(x) - stirling(y)
}

// stirling returns what log Gamma(x) has beyond (x-1/2) log x - x + log(2 pi)/2, to 1e-14 for x >= 16.
func stirling(x float64) float64 {
	r := 1 / (x * x)
	return (1./12 - r*(1./360-r*(1./1260-r/1680))) / x
}

// pick returns the index that a uniform number u in [0, 1) selects, with probability proportional to the weights. One of
// them at least must be positive, and none that is zero is selected.
func pick(weights []float64, u float64) int {
	if !(u >= 0 && u < 1) {
		panic(fmt.Sprintf("temperature: %v is no uniform number in [0, 1)", u))
	}
	total := 0.
	for _, w := range weights {
		total += w
	}
	chosen, sum := 0, 0.
	for i, w := range weights {
		if w == 0 {
			continue
		}
		chosen = i
		if sum += w; u*total < sum {
			break
		}
	}
	return chosen
}
