package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestPhilox holds the known answers of Random123 (kat_vectors, philox4x32 10).
func TestPhilox(t *testing.T) {
	const ones = 0xFFFFFFFF
	cases := []struct {
		counter [4]uint32
		key     uint64
		want    [4]uint32
	}{
		{[4]uint32{}, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, math.MaxUint64, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0_a4093822,
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	}
	for _, c := range cases {
		st := Stream{Seed: c.key, Draw: c.counter[1], Step: uint64(c.counter[3])<<32 | uint64(c.counter[2])}
		if got := st.block(c.counter[0]); got != c.want {
			t.Errorf("philox(%#x, %#x) = %#x, want %#x", c.counter, c.key, got, c.want)
		}
	}
}

var testStream = Stream{Seed: 0x0123456789ABCDEF, Draw: 0xFEDCBA98, Step: 0x89ABCDEF01234567}

// TestRandomBits compares every number with the bits Stream gives: on all instruction sets, at any offset and length,
// through the last number of a stream.
func TestRandomBits(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, p := range places() {
			for _, offset := range []int{0, 1, 8, 63, 64, 1000, 1<<32 - 70, streamSize - 200} {
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
func normal64(st Stream, i uint64) float64 {
	pair := i &^ (2*groupBlocks - 1) // words 0 and 1 or 2 and 3 of the block
	x, y := st.Uint32(pair|i%groupBlocks), st.Uint32(pair|i%groupBlocks|groupBlocks)
	u := min((float64(x>>1)+.5)*0x1p-31, 1)
	sin, cos := math.Sincos(2 * math.Pi * float64(y) * 0x1p-32)
	if i&groupBlocks != 0 {
		cos = sin
	}
	return math.Sqrt(-2*math.Log(u)) * cos
}

// TestBoxMullerEdges tries the extreme bits, which random ones would hardly meet.
func TestBoxMullerEdges(t *testing.T) {
	edges := []uint32{0, 1, 2, 3, 1<<29 - 1, 1 << 29, 1<<29 + 1, 1 << 30, 3 << 29, 1 << 31, 5 << 29, 3 << 30, 7 << 29,
		1<<31 - 1, 1<<32 - 1, 1<<32 - 2, 1<<32 - 200, 0xB504F300, 0x5A827980}
	for _, x := range edges {
		for _, y := range edges {
			u := min((float64(x>>1)+.5)*0x1p-31, 1)
			sin, cos := math.Sincos(2 * math.Pi * float64(y) * 0x1p-32)
			radius := math.Sqrt(-2 * math.Log(u))
			n0, n1 := boxMuller(x, y)
			// Near u = 1 the spacing of u limits the radius.
			tol := 2e-6 + math.Min(math.Sqrt(0x1p-23), 0x1p-24/max(radius, 1e-9))
			if math.Abs(float64(n0)-radius*cos) > tol || math.Abs(float64(n1)-radius*sin) > tol {
				t.Errorf("boxMuller(%#x, %#x) = %v, %v, want %v, %v", x, y, n0, n1, radius*cos, radius*sin)
			}
		}
	}
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

func TestBernoulliOfSureThings(t *testing.T) {
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

// TestDistributions compares a quarter of a million numbers with their distribution. Bounds are five standard errors; the numbers are
// always the same, so the test is not a matter of luck.
func TestDistributions(t *testing.T) {
	const n = 1 << 18
	uniformCDF := func(x float64) float64 { return x }
	normalCDF := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	forEachISA(t, func(t *testing.T, s ISA) {
		x := make([]float32, n)
		for _, st := range []Stream{{}, {Seed: 1, Step: 1}, testStream} {
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
	// Lags: neighbours, words of a block, groups.
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

// TestStreamsDiffer demands that neighbouring streams have no numbers in common beyond chance.
func TestStreamsDiffer(t *testing.T) {
	const n = 4096
	seen := map[uint64]string{}
	streams := []Stream{{}, {Seed: 1}, {Seed: 1 << 32}, {Draw: 1}, {Step: 1}, {Step: 1 << 32}, {Seed: 1, Draw: 1}, {Draw: 1, Step: 1}}
	for _, st := range streams {
		for i := range uint64(n) {
			v := uint64(st.Uint32(2*i))<<32 | uint64(st.Uint32(2*i+1))
			if other, ok := seen[v]; ok {
				t.Fatalf("%v and %s share %#x", st, other, v)
			}
			seen[v] = fmt.Sprint(st)
		}
	}
	if len(seen) != n*len(streams) {
		t.Errorf("%d numbers, want %d", len(seen), n*len(streams))
	}
}

func TestFloat64(t *testing.T) {
	const n = 1 << 16
	var sum, squares float64
	seen := map[float64]bool{}
	for i := range uint64(n) {
		v := testStream.Float64(i)
		if v < 0 || v >= 1 {
			t.Fatalf("Float64(%d) = %v", i, v)
		}
		sum += v
		squares += v * v
		seen[v] = true
	}
	if m, v := sum/n, squares/n; math.Abs(m-.5) > 5*math.Sqrt(1./12/n) || math.Abs(v-1./3) > .006 || len(seen) != n {
		t.Errorf("mean %v, mean square %v, %d different numbers of %d", m, v, len(seen), n)
	}
}
