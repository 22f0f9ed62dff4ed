package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
)

// gemmISAs returns the instruction sets to test, and fails if one that CALM_REQUIRE_ISA names is missing.
func gemmISAs(t testing.TB) []kernel.ISA {
	sets := kernel.Available()
	if want := os.Getenv("CALM_REQUIRE_ISA"); want != "" {
		for _, name := range strings.Split(want, ",") {
			isa, err := kernel.ParseISA(strings.TrimSpace(name))
			if err != nil || !slices.Contains(sets, isa) {
				t.Fatalf("CALM_REQUIRE_ISA=%s: %s cannot run here, have %v", want, name, sets)
			}
		}
	}
	return sets
}

// gemmCase is a product with everything around it: matrices inside longer slices, between guard words.
type gemmCase struct {
	m, n, k        int
	aT, bT, apart  bool // A, B transposed; apart: no stride is 1
	accumulate     bool
	bias, add, pre bool
	period         int
	act            activation
	int8           bool // B is int8 with scales: for bT, neither apart nor accumulate
}

func (c gemmCase) String() string {
	return fmt.Sprintf("%dx%dx%d aT=%t bT=%t apart=%t acc=%t bias=%t add=%t/%d pre=%t act=%d int8=%t",
		c.m, c.n, c.k, c.aT, c.bT, c.apart, c.accumulate, c.bias, c.add, c.period, c.pre, c.act, c.int8)
}

const guard = 37 // words on both sides

// args builds random arguments; outputs that are not read begin as NaN.
func (c gemmCase) args(r *rand.Rand) gemmArgs {
	nan := float32(math.NaN())
	random := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
		return s
	}
	matrix := func(rows, cols int, transposed bool) (s []float32, row, col int) {
		gap, step := r.IntN(4), 1
		if c.apart {
			step = 2
		}
		if transposed {
			row, col = step, rows*step+gap
		} else {
			row, col = cols*step+gap, step
		}
		return random(max(0, (rows-1)*row+(cols-1)*col+1)), row, col // ends with the last element
	}
	var a gemmArgs
	a.M, a.N, a.K = c.m, c.n, c.k
	if c.k > 0 {
		a.A, a.ARow, a.ACol = matrix(c.m, c.k, c.aT)
		a.B, a.BRow, a.BCol = matrix(c.k, c.n, c.bT)
	}
	if c.int8 {
		a.BInt8, a.B = make([]int8, len(a.B)), nil
		for i := range a.BInt8 {
			a.BInt8[i] = int8(r.IntN(255) - 127)
		}
		a.BScale = random(c.n)
	}
	a.LDC = c.n + r.IntN(3)
	a.C = random((c.m-1)*a.LDC + c.n)
	a.Accumulate, a.Act = c.accumulate, c.act
	if !c.accumulate {
		for i := range a.C {
			if i%a.LDC < a.N {
				a.C[i] = nan
			}
		}
	}
	if c.bias {
		a.Bias = random(c.n)
	}
	if c.add {
		a.AddPeriod = c.period
		a.LDAdd = c.n + 1
		a.Add = random((a.addRows()-1)*a.LDAdd + c.n)
	}
	if c.pre {
		a.Pre = slices.Repeat([]float32{nan}, len(a.C))
	}
	return a
}

// check runs a product through run and compares it with float64 sums.
func (c gemmCase) check(t *testing.T, a gemmArgs, run func(*gemmArgs)) {
	t.Helper()
	before := a
	for _, s := range []*[]float32{&before.A, &before.B, &before.C, &before.Bias, &before.Add} {
		*s = slices.Clone(*s)
	}
	before.BInt8, before.BScale = slices.Clone(a.BInt8), slices.Clone(a.BScale)
	c0, c1 := fence(&a.C)
	p0, p1 := fence(&a.Pre)
	run(&a)
	for _, g := range [][]float32{c0, c1, p0, p1} {
		for _, v := range g {
			if v != guardValue {
				t.Fatalf("%v: wrote outside of C or Pre", c)
			}
		}
	}
	if !slices.Equal(a.A, before.A) || !slices.Equal(a.B, before.B) || !slices.Equal(a.Bias, before.Bias) || !slices.Equal(a.Add, before.Add) ||
		!slices.Equal(a.BInt8, before.BInt8) || !slices.Equal(a.BScale, before.BScale) {
		t.Fatalf("%v: changed an input", c)
	}
	for i, v := range a.C {
		row, col := i/a.LDC, i%a.LDC
		if col >= a.N {
			if v != before.C[i] {
				t.Fatalf("%v: wrote between the rows of C", c)
			}
			continue
		}
		sum, size := before.element(row, col)
		bound := (2 + float64(a.K)) * size * 0x1p-24
		if a.BInt8 != nil { // the scale rounds once more
			bound += size * 0x1p-24
		}
		if a.Pre != nil {
			if d := math.Abs(float64(a.Pre[i]) - sum); !(d <= bound) {
				t.Fatalf("%v: pre-activation (%d, %d) is %v, want %v", c, row, col, a.Pre[i], sum)
			}
		}
		if a.Act == actSiLU {
			sum /= 1 + math.Exp(-sum)
			bound = 1.1*bound + 1e-6*math.Abs(sum) + 1e-7
		}
		if d := math.Abs(float64(v) - sum); !(d <= bound) {
			t.Fatalf("%v: element (%d, %d) is %v, want %v, off by %g, bound %g", c, row, col, v, sum, d, bound)
		}
	}
}

const guardValue = float32(-77.25)

// fence moves a slice between guard words and returns these.
func fence(s *[]float32) (before, after []float32) {
	if *s == nil {
		return nil, nil
	}
	buf := slices.Repeat([]float32{guardValue}, len(*s)+2*guard)
	in := buf[guard : guard+len(*s) : guard+len(*s)]
	copy(in, *s)
	*s = in
	return buf[:guard], buf[guard+len(in):]
}

// element returns an element of C before its activation and the sum of its terms' sizes.
func (a *gemmArgs) element(i, j int) (sum, size float64) {
	term := func(v float64) { sum += v; size += math.Abs(v) }
	for l := range a.K {
		x, w := float64(a.A[i*a.ARow+l*a.ACol]), l*a.BRow+j*a.BCol
		if a.BInt8 != nil {
			term(x * float64(a.BInt8[w]) * float64(a.BScale[j]))
		} else {
			term(x * float64(a.B[w]))
		}
	}
	if a.Accumulate {
		term(float64(a.C[i*a.LDC+j]))
	}
	if a.Bias != nil {
		term(float64(a.Bias[j]))
	}
	if a.Add != nil {
		if a.AddPeriod > 0 {
			i %= a.AddPeriod
		}
		term(float64(a.Add[i*a.LDAdd+j]))
	}
	return sum, size
}

// TestGemm compares products of all layouts with float64 sums, on every instruction set, in parallel and serially.
func TestGemm(t *testing.T) {
	for _, isa := range gemmISAs(t) {
		t.Run(isa.String(), func(t *testing.T) {
			p := newPool(2)
			defer p.close()
			scratch := make([]float32, gemmScratch)
			r := rand.New(rand.NewPCG(1, 2))
			for i, c := range gemmCases(isa, r) {
				run := func(a *gemmArgs) { newGemm(p, isa, *a).run() }
				if i%2 == 0 {
					run = func(a *gemmArgs) { gemmSerial(isa, scratch, a) }
				}
				c.check(t, c.args(r), run)
			}
		})
	}
}

// gemmCases lists every size up to two tiles and one with changing layouts and epilogues, and sizes beyond all blocks.
func gemmCases(isa kernel.ISA, r *rand.Rand) []gemmCase {
	rows, cols := isa.GemmTile()
	var cases []gemmCase
	layouts := 0
	add := func(m, n, k int) {
		b := layouts
		layouts++
		c := gemmCase{
			m: m, n: n, k: k,
			aT: b&1 != 0, bT: b&2 != 0, apart: b%29 == 0, accumulate: b%3 == 0,
			bias: r.IntN(2) == 0, add: r.IntN(3) == 0, period: r.IntN(4), pre: r.IntN(3) == 0, act: activation(r.IntN(2)),
		}
		c.int8 = c.bT && !c.apart && !c.accumulate && k > 0 && b%5 < 2
		cases = append(cases, c)
	}
	for m := 1; m <= 2*rows+1; m++ {
		for n := 1; n <= 2*cols+1; n++ {
			add(m, n, 1+r.IntN(9))
			add(m, n, 1+r.IntN(40))
		}
	}
	for k := range 70 {
		for range 4 {
			add(1+r.IntN(9), 1+r.IntN(9), k)
		}
	}
	for _, k := range []int{gemmKC - 1, gemmKC, gemmKC + 1, 2*gemmKC + 3} {
		for range 4 {
			add(7, 35, k)
			add(gemmMC+1, 4*cols+3, k)
			add(1+r.IntN(8), 1+r.IntN(70), k)
		}
	}
	for range 4 {
		add(gemmMC+5, gemmNC+cols+1, 5)
		add(gemmMR+3, 40, 4)
		add(3, gemmMR+7, 33)
		add(200, 300, 10)
	}
	return cases
}

// TestGemmThreads demands the same bits from any number of threads.
func TestGemmThreads(t *testing.T) {
	shapes := [][3]int{{124, 128, 320}, {4, 512, 300}, {300, 77, 600}, {128, 512, 124}, {1030, 64, 31}, {64, 65, 1001}}
	for _, isa := range gemmISAs(t) {
		for _, s := range shapes {
			for layout := range 6 {
				c := gemmCase{m: s[0], n: s[1], k: s[2], aT: layout&1 != 0, bT: layout >= 2, int8: layout >= 4}
				if c.k < 1000 { // a product with an epilogue is not cut along K
					c.bias, c.act = true, actSiLU
				}
				a := c.args(rand.New(rand.NewPCG(3, 4)))
				var first []float32
				for threads := 1; threads <= 3; threads++ {
					p := newPool(threads)
					a.C = make([]float32, len(a.C))
					newGemm(p, isa, a).run()
					p.close()
					if first == nil {
						first = a.C
					} else if !slices.Equal(first, a.C) {
						t.Fatalf("%v %v: %d threads give other bits than one", isa, c, threads)
					}
				}
			}
		}
	}
}

// TestGemmPairs runs two products in one region, deep ones among them.
func TestGemmPairs(t *testing.T) {
	p := newPool(2)
	defer p.close()
	isa := kernel.Best()
	r := rand.New(rand.NewPCG(13, 14))
	shapes := []gemmCase{ // K is cut in four, in two, in four, in eight, not at all
		{m: 64, n: 70, k: 1000, aT: true}, {m: 80, n: 60, k: 500, aT: true, bT: true},
		{m: 100, n: 60, k: 1003, aT: true, apart: true, accumulate: true}, {m: 70, n: 65, k: 1993, aT: true},
		{m: 124, n: 128, k: 40, bias: true},
	}
	for i, first := range shapes {
		second := shapes[(i+1)%len(shapes)]
		a, b := newGemm(p, isa, gemmArgs{}), newGemm(p, isa, second.args(r))
		alone := newGemm(p, isa, b.args)
		b.args.C, alone.args.C = slices.Clone(b.args.C), slices.Clone(b.args.C)
		alone.run()
		first.check(t, first.args(r), func(args *gemmArgs) { a.args = *args; a.runWith(b) })
		if want := first.k > 100; want != (a.depth > 1) {
			t.Errorf("%v: K is cut into %d", first, a.depth)
		}
		if !slices.Equal(b.args.C, alone.args.C) {
			t.Errorf("%v: together with %v it gives other bits than alone", second, first)
		}
	}
}

// TestGemmReplaced moves the slices of a product between runs and shrinks it, as callers that work in pieces do.
func TestGemmReplaced(t *testing.T) {
	p := newPool(2)
	defer p.close()
	r := rand.New(rand.NewPCG(5, 6))
	g := newGemm(p, kernel.Best(), gemmArgs{})
	for _, m := range []int{64, 64, 17, 1} {
		c := gemmCase{m: m, n: 70, k: 65, bT: true, add: true, period: 3}
		c.check(t, c.args(r), func(a *gemmArgs) { g.args = *a; g.run() })
	}
}

func TestGemmAllocations(t *testing.T) {
	p := newPool(2)
	defer p.close()
	for _, c := range []gemmCase{
		{m: 200, n: 100, k: 300, bT: true, bias: true, act: actSiLU}, {m: 200, n: 100, k: 300, bT: true, int8: true}, {m: 3, n: 100, k: 300, bT: true, int8: true},
	} {
		a := c.args(rand.New(rand.NewPCG(7, 8)))
		isa := kernel.Best()
		g := newGemm(p, isa, a)
		scratch := make([]float32, gemmScratch)
		if n := testing.AllocsPerRun(10, g.run); n != 0 {
			t.Errorf("%v: a parallel run allocates %v times", c, n)
		}
		if n := testing.AllocsPerRun(10, func() { gemmSerial(isa, scratch, &a) }); n != 0 {
			t.Errorf("%v: a serial run allocates %v times", c, n)
		}
	}
}

// FuzzGemm compares products of any sizes and layouts with float64 sums, on one thread and on three.
func FuzzGemm(f *testing.F) {
	f.Add(uint16(3), uint16(40), uint16(70), uint16(0b10_0000_0010), uint64(1))
	f.Add(uint16(30), uint16(70), uint16(400), uint16(0b10_0001_0110), uint64(2))
	f.Add(uint16(9), uint16(5), uint16(0), uint16(0b00_1100_1001), uint64(3))
	var pools []*pool
	for _, n := range []int{1, 3} {
		p := newPool(n)
		f.Cleanup(p.close)
		pools = append(pools, p)
	}
	f.Fuzz(func(t *testing.T, m, n, k, bits uint16, seed uint64) {
		c := gemmCase{m: int(m)%100 + 1, n: int(n)%150 + 1, k: int(k) % 700}
		for i, b := range []*bool{&c.aT, &c.bT, &c.apart, &c.accumulate, &c.bias, &c.add, &c.pre} {
			*b = bits>>i&1 != 0
		}
		c.act, c.period = activation(bits>>7&1), int(seed%4)
		c.int8 = bits>>9&1 != 0 && c.bT && !c.apart && !c.accumulate && c.k > 0
		for _, isa := range kernel.Available() {
			for _, p := range pools {
				c.check(t, c.args(rand.New(rand.NewPCG(seed, 1))), func(a *gemmArgs) { newGemm(p, isa, *a).run() })
			}
		}
	})
}

// TestGemmNotFinite demands that zeros are multiplied like other numbers.
func TestGemmNotFinite(t *testing.T) {
	for _, isa := range gemmISAs(t) {
		for _, m := range []int{1, 20} {
			c := gemmCase{m: m, n: 20, k: 9, bT: true}
			a := c.args(rand.New(rand.NewPCG(9, 10)))
			clear(a.A)
			a.B[3*a.BCol+2] = float32(math.Inf(1))
			gemmSerial(isa, make([]float32, gemmScratch), &a)
			for i := range a.M {
				for j, v := range a.C[i*a.LDC:][:a.N] {
					if (v != v) != (j == 3) || j != 3 && v != 0 {
						t.Fatalf("%v: 0 · Inf: element (%d, %d) is %v", isa, i, j, v)
					}
				}
			}
		}
	}
}

// TestGemmInt8Refuses: int8 needs a scale for each column, rows that follow in memory, and a C that is overwritten.
func TestGemmInt8Refuses(t *testing.T) {
	good := gemmCase{m: 5, n: 6, k: 7, bT: true, int8: true}.args(rand.New(rand.NewPCG(11, 12)))
	for want, change := range map[string]func(*gemmArgs){
		"BScale has":     func(a *gemmArgs) { a.BScale = a.BScale[:5] },
		"B has":          func(a *gemmArgs) { a.BInt8 = a.BInt8[:len(a.BInt8)-1] },
		"scaled too":     func(a *gemmArgs) { a.Accumulate = true },
		"not transposed": func(a *gemmArgs) { a.BRow, a.BCol = 6, 1 },
	} {
		a := good
		change(&a)
		func() {
			defer func() {
				if e := recover(); e == nil || !strings.Contains(fmt.Sprint(e), want) {
					t.Errorf("%s: panic %v", want, e)
				}
			}()
			gemmSerial(kernel.Portable, make([]float32, gemmScratch), &a)
		}()
	}
}

func TestGemmRefusesShortSlices(t *testing.T) {
	good := gemmCase{m: 5, n: 6, k: 7, bias: true, add: true, pre: true}.args(rand.New(rand.NewPCG(11, 12)))
	cut := map[string]func(*gemmArgs) *[]float32{
		"A": func(a *gemmArgs) *[]float32 { return &a.A }, "B": func(a *gemmArgs) *[]float32 { return &a.B },
		"C": func(a *gemmArgs) *[]float32 { return &a.C }, "Bias": func(a *gemmArgs) *[]float32 { return &a.Bias },
		"Add": func(a *gemmArgs) *[]float32 { return &a.Add }, "Pre": func(a *gemmArgs) *[]float32 { return &a.Pre },
	}
	for name, field := range cut {
		a := good
		s := field(&a)
		*s = (*s)[:len(*s)-1]
		func() {
			defer func() {
				if e := recover(); e == nil || !strings.Contains(fmt.Sprint(e), name+" has") {
					t.Errorf("%s one short: panic %v", name, e)
				}
			}()
			gemmSerial(kernel.Portable, make([]float32, gemmScratch), &a)
		}()
	}
}
