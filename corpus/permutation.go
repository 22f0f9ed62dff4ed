package corpus

import "math/bits"

// A key is a stream of random words that follow from a seed and a number
// (splitmix64).
type key struct{ state uint64 }

func newKey(seed, number uint64) key { return key{mix(mix(seed) ^ number)} }

func (k *key) next() uint64 {
	k.state += 0x9e3779b97f4a7c15
	return mix(k.state)
}

// mix is a bijection of 64 bits in which every input bit moves every output bit
// (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// minHalf keeps the network's halves from being so small that its permutations
// are few (with two bits TestPermutationIsEven fails).
const minHalf = 4

// A permutation of 0..n-1 that is computed, not stored: a Feistel network over
// the next even number of bits. Results beyond n-1 are put through it again until
// one falls within, after less than four times on average unless n is small.
type permutation struct {
	n    uint64
	half int // bits of a half
	keys [6]uint64
}

func newPermutation(k *key, n uint64) permutation {
	p := permutation{n: n, half: max(minHalf, (bits.Len64(n-1)+1)/2)}
	for i := range p.keys {
		p.keys[i] = k.next()
	}
	return p
}

// at returns the place of i < n.
func (p *permutation) at(i uint64) uint64 {
	mask := uint64(1)<<p.half - 1
	for {
		left, right := i>>p.half, i&mask
		for _, k := range p.keys {
			left, right = right, left^(mix(right^k)&mask)
		}
		if i = left<<p.half | right; i < p.n {
			return i
		}
	}
}
