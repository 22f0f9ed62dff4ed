package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	groupBlocks = 16 // of a group of 64 numbers
	keysOffset  = 16 // of the keys, which follow the counter
)

func (g gen) random() {
	g.text("uniform", "(dst []float32, r *[24]uint32, a, b, limit float32)",
		"is random.Uniform of whole groups: dst = min(a * (bits>>8) + b, limit).")
	a, b, limit := g.param("a"), g.param("b"), g.param("limit")
	g.groups(func(words [4]VecVirtual) [4]VecVirtual {
		for w := range words { // rounded twice, as in Go: all instruction sets give the same numbers
			v := g.mul(g.toFloat(g.shr(words[w], 8)), a)
			words[w] = g.min(g.add(v, b), limit)
		}
		return words
	})

	g.text("bernoulli", "(dst []float32, r *[24]uint32, below uint32, value float32)",
		"is random.Bernoulli of whole groups: dst = value where bits>>8 < below, else 0.")
	below, value := g.param("below"), g.param("value")
	g.groups(func(words [4]VecVirtual) [4]VecVirtual {
		for w := range words {
			less := g.isub(g.shr(words[w], 8), below) // negative: both are below 1<<25
			words[w] = g.and(value, g.sar(less, 31))
		}
		return words
	})

	g.text("normal", "(dst []float32, r *[24]uint32)", "is random.Normal of whole groups: pairs of words through boxMuller.")
	g.groups(func(words [4]VecVirtual) [4]VecVirtual {
		words[0], words[1] = g.boxMuller(words[0], words[1])
		words[2], words[3] = g.boxMuller(words[2], words[3])
		return words
	})
}

// groups finishes a kernel that fills dst with groups of random numbers, made from the words of a vector of blocks.
func (g gen) groups(numbers func(words [4]VecVirtual) [4]VecVirtual) {
	dst, n, r := pointer("dst"), length("dst"), Load(Param("r"), GP64())
	iota := g.vec()
	VMOVUPS(table("vec_iota", groupBlocks, func(i int) uint32 { return uint32(i) }), iota)
	blocks := g.iadd(iota, g.broadcast(Mem{Base: r}))
	odd := g.oddLanes()
	Label("group")
	CMPQ(n, U8(4*groupBlocks))
	JL(LabelRef("end"))
	for first := 0; first < groupBlocks; first += g.lanes {
		words := numbers(g.philox(blocks, r, odd))
		for w, v := range words {
			VMOVUPS(v, Mem{Base: dst, Disp: 4 * (w*groupBlocks + first)})
		}
		g.op3(VPADDD, VPADDD_BCST, blocks, blocks, bits(fmt.Sprint("int", g.lanes), uint32(g.lanes)))
	}
	ADDQ(U32(4*4*groupBlocks), dst)
	SUBQ(U8(4*groupBlocks), n)
	JMP(LabelRef("group"))
	Label("end")
	g.end()
}

// philox returns the four words of each of the blocks. The product of 32-bit numbers has 64 bits, so the even and the
// odd lanes are computed separately, each in the lower halves of 64-bit lanes. The upper halves are ignored:
//
//	h0, l0 := bits.Mul32(philoxM0, c[0])
//	h1, l1 := bits.Mul32(philoxM1, c[2])
//	c = [4]uint32{h1 ^ c[1] ^ keys[r], l1, h0 ^ c[3] ^ keys[r+1], l0}
func (g gen) philox(blocks VecVirtual, r Register, odd Op) (words [4]VecVirtual) {
	var c [2][4]VecVirtual
	for half := range c {
		c[half][0] = blocks
		for w := 1; w < 4; w++ {
			c[half][w] = g.broadcast(Mem{Base: r, Disp: 4 * w})
		}
	}
	c[1][0] = g.iadd(blocks, bits("int1", 1))
	for round := range 10 {
		for half := range c {
			x := &c[half]
			p0 := g.op3(VPMULUDQ, VPMULUDQ_BCST, g.vec(), x[0], goInt("philoxM0"))
			p1 := g.op3(VPMULUDQ, VPMULUDQ_BCST, g.vec(), x[2], goInt("philoxM1"))
			key := Mem{Base: r, Disp: keysOffset + 8*round}
			x[0], x[1] = g.xor3(g.shift(VPSRLQ, p1, 32), x[1], key), p1
			x[2], x[3] = g.xor3(g.shift(VPSRLQ, p0, 32), x[3], key.Offset(4)), p0
		}
	}
	for w := range words {
		words[w] = g.interleave(c[0][w], g.shift(VPSLLQ, c[1][w], 32), odd)
	}
	return words
}

// xor3 returns a ^ b ^ key, the last being a word in memory, and overwrites a.
func (g gen) xor3(a, b VecVirtual, key Mem) VecVirtual {
	if g.wide() {
		VPTERNLOGD_BCST(U8(0x96), key, b, a)
		return a
	}
	return g.xor(g.xor(b, g.broadcast(key)), a) // a comes last
}

// oddLanes is the mask interleave needs.
func (g gen) oddLanes() Op {
	const odd = 0b1010_1010_1010_1010
	if !g.wide() {
		return U8(odd & 0xFF)
	}
	bits, k := GP32(), K()
	MOVL(U32(odd), bits)
	KMOVW(bits, k)
	return k
}

// interleave returns the even lanes of a and the odd lanes of b.
func (g gen) interleave(a, b VecVirtual, odd Op) VecVirtual {
	if g.wide() {
		return g.pick(odd, b, a)
	}
	d := g.vec()
	VPBLENDD(odd, b, a, d)
	return d
}

// boxMuller is boxMuller in Go, for vectors.
func (g gen) boxMuller(x, y VecVirtual) (n0, n1 VecVirtual) {
	radius := g.sqrt(g.minusTwoLog(g.shr(x, 1)))

	// q := y + 1<<29; t := float32(int32(y-q&^(1<<30-1))) * 0x1p-32
	q := g.iadd(y, bits("eighthTurn", 1<<29))
	t := g.isub(y, g.and(q, bits("quarters", 3<<30)))
	t = g.mul(g.toFloat(t), float("twoToMinus32", 0x1p-32))
	z := g.mul(t, t)
	sin := g.polynomial(z, "sinC7", "sinC5", "sinC3", "sinC1")
	sin = g.mul(sin, t)
	cos := g.polynomial(z, "cosC6", "cosC4", "cosC2")
	g.horner(cos, z, one())

	// Odd quarters exchange the two; the signs follow from the quarter.
	swap := g.shl(q, 1)
	s := g.chooseSign(cos, sin, swap)
	c := g.chooseSign(sin, cos, swap)
	sign := bits("sign", 1<<31)
	s = g.xor(s, g.and(q, sign))
	c = g.xor(c, g.and(g.iadd(q, bits("quarterTurn", 1<<30)), sign))
	return g.mul(radius, c), g.mul(radius, s)
}

// minusTwoLog returns -2 ln u for u = v 2^-31 + 2^-32, v < 2^31:
//
//	e := int32(bits(u)-logRootHalf) >> 23
//	f := Float32frombits(bits(u)-e<<23) - 1
//	p := (((((logC6*f+logC5)*f+logC4)*f+logC3)*f+logC2)*f+logC1)*f + logC0
//	return (p*f+1)*(f*f) + (float32(e)*logE - 2*f)
func (g gen) minusTwoLog(v VecVirtual) VecVirtual {
	u := g.toFloat(v)
	g.horner(u, g.set(float("twoToMinus31", 0x1p-31)), float("twoToMinus32", 0x1p-32))
	e := g.sar(g.isub(u, goInt("logRootHalf")), 23)
	f := g.sub(g.isub(u, g.shl(e, 23)), one())
	p := g.polynomial(f, "logC6", "logC5", "logC4", "logC3", "logC2", "logC1", "logC0")
	g.horner(p, f, one())
	log := g.mul(g.toFloat(e), goFloat("logE"))
	g.fnma(log, f, float("two", 2))
	g.fma(log, p, g.mul(f, f))
	return log
}

// polynomial evaluates the polynomial in x with these coefficients of the package, the highest power first.
func (g gen) polynomial(x VecVirtual, coefficients ...string) VecVirtual {
	p := g.set(goFloat(coefficients[0]))
	for _, name := range coefficients[1:] {
		g.horner(p, x, goFloat(name))
	}
	return p
}
