package cpu_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// slotRun is a CachedAttention operation over caches that are NaN where nothing was written.
type slotRun struct {
	p                      *cpu.Program
	in                     [3]*nn.Tensor // q, k, v
	slot, start, y, kc, vc *nn.Tensor
	k, v                   []float32 // the caches
}

const slotHeads, slotKV, slotSize = 4, 2, 6

func newSlotRun(e *cpu.Engine, rows, t, slots, capacity int) *slotRun {
	const width = slotKV * slotSize
	g := nn.NewGraph()
	r := &slotRun{slot: g.Ints("slot", rows), start: g.Ints("start", rows)}
	r.in = [3]*nn.Tensor{g.Floats("q", rows, t, slotHeads*slotSize), g.Floats("k", rows, t, width), g.Floats("v", rows, t, width)}
	r.kc, r.vc = g.State("k cache", slots, capacity, width), g.State("v cache", slots, capacity, width)
	r.y = g.CachedAttention(r.in[0], r.in[1], r.in[2], r.kc, r.vc, r.slot, r.start, slotHeads, slotKV)
	g.Output(r.y)
	r.p = e.Compile(g, cpu.Inference)
	r.k = slices.Repeat([]float32{float32(math.NaN())}, slots*capacity*width)
	r.v = slices.Clone(r.k)
	r.p.Bind(r.kc, r.k)
	r.p.Bind(r.vc, r.v)
	return r
}

// TestCachedAttentionSlots: a row gives bit for bit what it gives alone in a cache of one slot that is just large enough,
// whatever its slot, the other rows and the capacity. An absent row gives 0. Slots that no row has stay as they were.
func TestCachedAttentionSlots(t *testing.T) {
	const slots, width = 9, slotKV * slotSize
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{1, 2, 5, 16, 17, 64, 70} {
			for _, rows := range []int{1, 2, 3, 5, 8} {
				capacity := n + 100 + rng.IntN(50)
				many := newSlotRun(e, rows, n, slots, capacity)
				for _, x := range many.in {
					copy(many.p.Floats(x), normal(rng.Uint64(), x.Size()))
				}
				filled := normal(rng.Uint64(), len(many.k))
				copy(many.k, filled)
				copy(many.v, filled)
				slot, start := many.p.Ints(many.slot), many.p.Ints(many.start)
				free := rng.Perm(slots)
				for b := range rows {
					slot[b], start[b] = int32(free[b]), rng.Int32N(int32(capacity-n+1))
					if b > 0 && rng.IntN(4) == 0 {
						slot[b] = -1
					}
				}
				once(t, many.p, false)
				for b := range rows {
					testSlot(t, e, many, filled, b, n, capacity)
				}
				for s := range slots {
					if used := slices.Contains(slot, int32(s)); !used && !slices.Equal(many.k[s*capacity*width:][:capacity*width], filled[s*capacity*width:][:capacity*width]) {
						t.Errorf("%d positions of %d rows: slot %d, which no row has, has changed", n, rows, s)
					}
				}
			}
		}
	})
}

// testSlot compares row b of a run with the same row alone, over the caches as they were filled before.
func testSlot(t *testing.T, e *cpu.Engine, many *slotRun, filled []float32, b, n, capacity int) {
	t.Helper()
	const width = slotKV * slotSize
	slot, start := int(many.p.Ints(many.slot)[b]), int(many.p.Ints(many.start)[b])
	size := n * slotHeads * slotSize
	got := many.p.Floats(many.y)[b*size:][:size]
	if slot < 0 {
		sameBits(t, "an absent row", got, make([]float32, size))
		return
	}
	alone := newSlotRun(e, 1, n, 1, start+n)
	for i, x := range alone.in {
		copy(alone.p.Floats(x), many.p.Floats(many.in[i])[b*x.Size():])
	}
	alone.p.Ints(alone.start)[0] = int32(start)
	at := slot * capacity * width
	copy(alone.k[:start*width], filled[at:])
	copy(alone.v[:start*width], filled[at:])
	once(t, alone.p, false)
	sameBits(t, "Y", got, alone.p.Floats(alone.y))
	end := (start + n) * width
	sameBits(t, "keys", many.k[at:at+end], alone.k)
	sameBits(t, "values", many.v[at:at+end], alone.v)
	sameBits(t, "keys behind", many.k[at+end:at+capacity*width], filled[at+end:at+capacity*width])
}

// TestCachedAttentionErrors: a slot that does not exist, one that two rows have and a start that does not fit are errors,
// and nothing is written.
func TestCachedAttentionErrors(t *testing.T) {
	e := engine(t, kernel.Best(), 2)
	r := newSlotRun(e, 3, 2, 4, 9)
	for _, c := range []struct {
		slot, start []int32
		want        string
	}{
		{[]int32{0, 1, 4}, []int32{0, 0, 0}, "attention: row 2 has slot 4 of 4"},
		{[]int32{0, -2, 1}, []int32{0, 0, 0}, "attention: row 1 has slot -2 of 4"},
		{[]int32{0, 1, math.MaxInt32}, []int32{0, 0, 0}, "attention: row 2 has slot 2147483647 of 4"},
		{[]int32{0, 3, 0}, []int32{0, 0, 7}, "attention: row 2 has slot 0, which an earlier row has too"},
		{[]int32{0, 3, 1}, []int32{0, 8, 0}, "attention: positions 8 to 9 of row 1 do not fit a cache of 9"},
		{[]int32{0, 3, 1}, []int32{0, 0, -1}, "attention: positions -1 to 0 of row 2 do not fit a cache of 9"},
	} {
		copy(r.p.Ints(r.slot), c.slot)
		copy(r.p.Ints(r.start), c.start)
		if err := r.p.Forward(); err == nil || err.Error() != c.want {
			t.Errorf("slots %v, starts %v: error %v, want %q", c.slot, c.start, err, c.want)
		}
		if slices.ContainsFunc(r.k, func(v float32) bool { return v == v }) {
			t.Fatalf("slots %v, starts %v: a run that failed has written", c.slot, c.start)
		}
	}
	copy(r.p.Ints(r.slot), []int32{-1, 3, -1}) // the starts of absent rows do not matter
	copy(r.p.Ints(r.start), []int32{-7, 0, 99})
	once(t, r.p, false)
}
