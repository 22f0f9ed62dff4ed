package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A step is one vector's worth of a loop over slices.
type step struct {
	g     gen
	index Register // first element of the iteration
	slot  int      // which vector of the iteration
	mask  Op       // active lanes of the last, partial vector; nil: all
}

var labels int

func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// loop runs body for all n elements, a vector at a time, as [gen.blocks] cuts them.
func (g gen) loop(n Register, unroll int, body func(s step)) {
	g.blocks(n, unroll, func(steps []step) {
		for _, s := range steps {
			body(s)
		}
	})
}

// blocks runs body for all n elements: unroll vectors an iteration, then single vectors, then the rest under a mask. So
// every element takes the same instructions, wherever it lies. n is not changed.
func (g gen) blocks(n Register, unroll int, body func(steps []step)) {
	index, left := GP64(), GP64()
	XORQ(index, index)
	MOVQ(n, left)
	for _, u := range []int{unroll, 1} {
		top, next := label("loop"), label("next")
		Label(top)
		CMPQ(left, U32(u*g.lanes))
		JL(LabelRef(next))
		var steps []step
		for slot := range u {
			steps = append(steps, step{g: g, index: index, slot: slot})
		}
		body(steps)
		ADDQ(U32(u*g.lanes), index)
		SUBQ(U32(u*g.lanes), left)
		JMP(LabelRef(top))
		Label(next)
		if u == 1 {
			break
		}
	}
	done := label("done")
	TESTQ(left, left)
	JZ(LabelRef(done))
	body([]step{{g: g, index: index, mask: g.firstLanes(left)}})
	Label(done)
}

// firstLanes returns a mask of the first n lanes and overwrites n.
func (g gen) firstLanes(n GPVirtual) Op {
	if g.wide() {
		MOVQ(n, RCX)
		bits, k := GP32(), K()
		MOVL(U32(0xFFFFFFFF), bits)
		SHLL(CL, bits)
		NOTL(bits)
		KMOVW(bits, k)
		return k
	}
	eightOnEightOff := table("vec_masks", 16, func(i int) uint32 {
		if i < 8 {
			return 0xFFFFFFFF
		}
		return 0
	})
	base, mask := GP64(), g.vec()
	LEAQ(eightOnEightOff, base)
	NEGQ(n)
	VMOVUPS(Mem{Base: base, Index: n, Scale: 4, Disp: 32}, mask)
	return mask
}

// at is the step's place in the slice that p points to.
func (s step) at(p Register) Mem {
	return Mem{Base: p, Index: s.index, Scale: 4, Disp: 4 * s.slot * s.g.lanes}
}

// load reads the step's elements; lanes beyond the slice are 0.
func (s step) load(p Register) VecVirtual {
	d := s.g.vec()
	switch {
	case s.mask == nil:
		VMOVUPS(s.at(p), d)
	case s.g.wide():
		VMOVUPS_Z(s.at(p), s.mask, d)
	default:
		VMASKMOVPS(s.at(p), s.mask, d)
	}
	return d
}

func (s step) store(v VecVirtual, p Register) {
	switch {
	case s.mask == nil:
		VMOVUPS(v, s.at(p))
	case s.g.wide():
		VMOVUPS(v, s.mask, s.at(p))
	default:
		VMASKMOVPS(v, s.mask, s.at(p))
	}
}

// fill returns v with c in the lanes beyond the slice.
func (s step) fill(v VecVirtual, c literal) VecVirtual {
	if s.mask == nil {
		return v
	}
	return s.g.pick(s.mask, v, s.g.set(c))
}

// clear returns v with 0 in the lanes beyond the slice.
func (s step) clear(v VecVirtual) VecVirtual {
	if s.mask == nil {
		return v
	}
	d := s.g.vec()
	if s.g.wide() {
		VMOVAPS_Z(v, s.mask, d)
	} else {
		VANDPS(v, s.mask, d)
	}
	return d
}

// pointer loads the address of a slice parameter.
func pointer(name string) Register { return Load(Param(name).Base(), GP64()) }

// length loads the length of a slice parameter.
func length(name string) Register { return Load(Param(name).Len(), GP64()) }
