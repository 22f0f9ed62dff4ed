package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/nn/random"
)

var testStream = random.Stream{Seed: 0x0123456789ABCDEF, Draw: 0xFEDCBA98, Step: 0x89ABCDEF01234567}

// TestRandomBits compares every number with the bits Stream gives: on all instruction sets, at any offset and length,
// through the last number of a stream.
func TestRandomBits(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, p := range places() {
			for _, offset := range []int{0, 1, 8, 63, 64, 1000, 1<<32 - 70, random.Size - 200} {
				for _, n := range []int{0, 1, 7, 63, 64, 65, 128, 200} {
					b := p.make(n)
					where := fmt.Sprintf("offset=%d n=%d %s", offset, n, p.name)
					s.Uniform(b.data, testStream, offset, 0, 1)
					for i, v := range b.data {
						if bits := testStream.Uint32(uint64(offset + i)); v != float32(bits>>8)*0x1p-24 {
							t.Fatalf("%s: Uniform[%d] = %v, want the bits %#x", where, i, v, bits)
						}
					}
					s.Bernoulli(b.data, testStream, offset, .25, 3)
					for i, v := range b.data {
						if bits := testStream.Uint32(uint64(offset + i)); v != 3 && v != 0 || (v == 3) != (bits < 1<<30) {
							t.Fatalf("%s: Bernoulli[%d] = %v, bits %#x", where, i, v, bits)
						}
					}
					s.Normal(b.data, testStream, offset)
					for i, v := range b.data {
						if want := normal64(testStream, uint64(offset+i)); math.Abs(float64(v)-want) > 2e-6 {
							t.Fatalf("%s: Normal[%d] = %v, want %v", where, i, v, want)
						}
					}
					if !b.intact() {
						t.Fatalf("%s: wrote outside", where)
					}
					b.free()
				}
			}
		}
	})
}

// normal64 is Box-Muller in float64.
func normal64(st random.Stream, i uint64) float64 {
	pair := i &^ (2*random.GroupBlocks - 1) // words 0 and 1 or 2 and 3 of the block
	x, y := st.Uint32(pair|i%random.GroupBlocks), st.Uint32(pair|i%random.GroupBlocks|random.GroupBlocks)
	u := min((float64(x>>1)+.5)*0x1p-31, 1)
	sin, cos := math.Sincos(2 * math.Pi * float64(y) * 0x1p-32)
	if i&random.GroupBlocks != 0 {
		cos = sin
	}
	return math.Sqrt(-2*math.Log(u)) * cos
}

func TestUniformStaysBelow(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		dst := make([]float32, 1024)
		for _, bounds := range [][2]float32{{1, math.Nextafter32(1, 2)}, {-1, 1}, {1, 1 + 0x1p-20}, {-3, -2.9999998}, {1e30, 2e30}} {
			s.Uniform(dst, testStream, 0, bounds[0], bounds[1])
			if low, high := slices.Min(dst), slices.Max(dst); low < bounds[0] || high >= bounds[1] {
				t.Errorf("numbers from %v to %v are not in [%v, %v)", low, high, bounds[0], bounds[1])
			}
			want := slices.Clone(dst)
			Portable.Uniform(want, testStream, 0, bounds[0], bounds[1])
			if !sameBits(dst, want) {
				t.Errorf("in [%v, %v) the numbers are not those of the portable path", bounds[0], bounds[1])
			}
		}
	})
}

func TestBernoulliOfCertainty(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		dst := make([]float32, 640)
		for p, want := range []float32{0, 2} {
			s.Bernoulli(dst, testStream, 3, float32(p), 2)
			if slices.Min(dst) != want || slices.Max(dst) != want {
				t.Errorf("with probability %d: numbers from %v to %v", p, slices.Min(dst), slices.Max(dst))
			}
		}
	})
}

// TestDistributions compares a quarter of a million numbers with their distribution. Bounds are five standard errors;
// the numbers are always the same, so the result is not left to chance.
func TestDistributions(t *testing.T) {
	const n = 1 << 18
	uniformCDF := func(x float64) float64 { return x }
	normalCDF := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	forEachISA(t, func(t *testing.T, s ISA) {
		x := make([]float32, n)
		for _, st := range []random.Stream{{}, {Seed: 1, Step: 1}, testStream} {
			s.Uniform(x, st, 0, 0, 1)
			checkDistribution(t, fmt.Sprintf("Uniform %v", st), x, []float64{1. / 2, 1. / 3, 1. / 4, 1. / 5}, uniformCDF)
			s.Normal(x, st, 0)
			checkDistribution(t, fmt.Sprintf("Normal %v", st), x, []float64{0, 1, 0, 3}, normalCDF)
			s.Bernoulli(x, st, 0, .3, 1)
			if share := float64(s.Sum(x)) / n; math.Abs(share-.3) > 5*math.Sqrt(.3*.7/n) {
				t.Errorf("Bernoulli %v: share %v, want .3", st, share)
			}
		}
	})
}

func checkDistribution(t *testing.T, name string, x []float32, moments []float64, cdf func(float64) float64) {
	t.Helper()
	n := float64(len(x))
	power := widen(x)
	for k, want := range moments {
		var sum, squares float64
		for i, p := range power {
			sum += p
			squares += p * p
			power[i] *= float64(x[i])
		}
		mean := sum / n
		if e := math.Sqrt((squares/n - mean*mean) / n); math.Abs(mean-want) > 5*e {
			t.Errorf("%s: moment %d is %v, want %v, standard error %v", name, k+1, mean, want, e)
		}
	}
	// Lags: consecutive numbers, words of a block, groups.
	mean := moments[0]
	variance := moments[1] - mean*mean
	for _, lag := range []int{1, 2, 8, 16, 32, 48, 64, 1024} {
		var sum float64
		for i := range len(x) - lag {
			sum += (float64(x[i]) - mean) * (float64(x[i+lag]) - mean)
		}
		if r := sum / n / variance; math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("%s: correlation %v at lag %d", name, r, lag)
		}
	}
	// Kolmogorov-Smirnov; 1.95 is the quantile of one in a thousand.
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	var worst float64
	for i, v := range sorted {
		worst = max(worst, math.Abs(cdf(float64(v))-(float64(i)+.5)/n))
	}
	if worst > 1.95/math.Sqrt(n) {
		t.Errorf("%s: the distribution function is off by %v, want below %v", name, worst, 1.95/math.Sqrt(n))
	}
}
