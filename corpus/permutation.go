package corpus

import "math/bits"

// A key is a stream of random 64-bit numbers (splitmix64), determined by a seed and
// the number of the epoch.
type key struct{ state uint64 }

func newKey(seed, number uint64) key { return key{mix(mix(seed) ^ number)} }

func (k *key) next() uint64 {
	k.state += 0x9e3779b97f4a7c15
	return mix(k.state)
}

// mix is a bijection of 64-bit numbers where every input bit affects every output
// bit (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// minHalf is the smallest number of bits in a half of the network. With smaller
// halves it has too few permutations (with two bits TestPermutationIsEven fails).
const minHalf = 4

// A permutation of 0..n-1 that is computed, not stored. It is a Feistel network
// over an even number of bits. While a result is n or larger, the network is
// applied to it again. Unless n is small, that takes fewer than four times on
// average.
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

// at returns the image of i, for i < n.
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
