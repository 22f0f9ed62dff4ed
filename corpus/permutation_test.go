package corpus

import (
	"math"
	"testing"
)

func TestPermutation(t *testing.T) {
	for n := uint64(1); n <= 300; n++ {
		for epoch := range uint64(3) {
			key := newKey(42, epoch)
			p := newPermutation(&key, n)
			seen := make([]bool, n)
			for i := range n {
				at := p.at(i)
				if at >= n || seen[at] {
					t.Fatalf("n=%d: %d goes to %d, again or beyond", n, i, at)
				}
				seen[at] = true
			}
		}
	}
	// There are too many to try all, but no two may have the same image.
	key := newKey(1, 1)
	p := newPermutation(&key, 1<<40+12345)
	seen := map[uint64]bool{}
	for i := range uint64(10000) {
		at := p.at(i)
		if at >= p.n || seen[at] {
			t.Fatalf("%d goes to %d, again or beyond", i, at)
		}
		seen[at] = true
	}
}

// Over many seeds, every block is at every place equally often, and adjacent blocks
// follow each other only as often as by chance.
func TestPermutationIsEven(t *testing.T) {
	const n, trials = 13, 20000
	var counts [n][n]int
	adjacent := 0
	for seed := range uint64(trials) {
		key := newKey(seed, 0)
		p := newPermutation(&key, n)
		for i := range uint64(n) {
			counts[i][p.at(i)]++
			if i > 0 && p.at(i) == p.at(i-1)+1 {
				adjacent++
			}
		}
	}
	chi := 0.0
	for i := range counts {
		for j := range counts[i] {
			d := float64(counts[i][j]) - trials/float64(n)
			chi += d * d / (trials / float64(n))
		}
	}
	// (n-1)^2 = 144 degrees of freedom: standard deviation 17.
	if chi > 144+5*17 {
		t.Errorf("chi squared is %.0f, want about 144", chi)
	}
	if want := float64(trials) * (n - 1) / n; math.Abs(float64(adjacent)-want) > .03*want {
		t.Errorf("%d adjacent blocks follow each other, want about %.0f", adjacent, want)
	}
}

func TestSeedsAndEpochsDiffer(t *testing.T) {
	c := mustTokenize(t, someTexts(200, 1)...)
	blocks, err := c.Train().Blocks(Layout{Language, 4, 32})
	if err != nil {
		t.Fatal(err)
	}
	type start struct{ shift, first, second int64 }
	seen := map[start]bool{}
	for seed := range uint64(20) {
		b, err := blocks.Shuffled(seed, 4)
		if err != nil {
			t.Fatal(err)
		}
		for epoch := range int64(20) {
			if err := b.Seek(Position{Seed: seed, Epoch: epoch, Blocks: blocks.Len()}); err != nil {
				t.Fatal(err)
			}
			seen[start{b.shift, int64(b.order.at(0)), int64(b.order.at(1))}] = true
		}
	}
	if len(seen) != 400 {
		t.Errorf("only %d of 400 epochs differ", len(seen))
	}
}
