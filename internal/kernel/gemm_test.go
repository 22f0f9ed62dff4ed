package kernel

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/bfloat16"
)

// gemmInput returns n random numbers at a place, and a function that reports whether they are still the same.
func gemmInput(p place, seed uint64, n int) (*buffer, func() bool) {
	b := p.make(n)
	r := newRand(seed)
	for i := range b.data {
		b.data[i] = float32(r.NormFloat64())
	}
	before := slices.Clone(b.data)
	return b, func() bool { return slices.Equal(before, b.data) }
}

// gemmOutput returns n words at a place, NaN unless they are to be read.
func gemmOutput(p place, n int, read bool) *buffer {
	b := p.make(n)
	for i := range b.data {
		b.data[i] = float32(math.NaN())
		if read {
			b.data[i] = float32(i%7) - 3
		}
	}
	return b
}

// checkSum compares an element with the terms of its sum.
func checkSum(t *testing.T, what string, got float32, terms ...float64) {
	t.Helper()
	var sum, size float64
	for _, v := range terms {
		sum += v
		size += math.Abs(v)
	}
	if d := math.Abs(float64(got) - sum); !(d <= size*float64(len(terms)+1)*0x1p-24) {
		t.Fatalf("%s is %v, want %v", what, got, sum)
	}
}

func TestMulPanel(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		rows, cols := s.GemmTile()
		for m := 1; m <= 2*rows+1; m++ {
			for _, k := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 33} {
				for i, p := range places() {
					testMulPanel(t, s, p, m, k, rows, cols, (m+k+i)%2 == 0, (m+i)%3 == 0)
				}
			}
		}
	})
}

func testMulPanel(t *testing.T, s ISA, p place, m, k, rows, cols int, transposed, accumulate bool) {
	aRow, aCol, bRow, ldc := k+1, 1, cols+3, cols+2
	if transposed {
		aRow, aCol = 2, 2*m+1
	}
	aStrip := rows * aRow
	if m > rows && k%2 == 0 {
		aStrip += 5
	}
	end := 0
	for i := range m {
		end = max(end, i/rows*aStrip+i%rows*aRow)
	}
	a, aSame := gemmInput(p, 1, max(0, end+(k-1)*aCol+1))
	b, bSame := gemmInput(p, 2, max(0, (k-1)*bRow+cols))
	c := gemmOutput(p, (m-1)*ldc+cols, accumulate)
	defer a.free()
	defer b.free()
	defer c.free()
	before := slices.Clone(c.data)
	what := fmt.Sprintf("%s, m=%d k=%d transposed=%t accumulate=%t", p.name, m, k, transposed, accumulate)
	s.MulPanel(m, k, a.data, aRow, aCol, aStrip, b.data, bRow, c.data, ldc, accumulate)
	if !c.intact() || !aSame() || !bSame() {
		t.Fatalf("%s: wrote outside of C", what)
	}
	for i := range c.data {
		row, col := i/ldc, i%ldc
		if col >= cols {
			if !sameBits(c.data[i:i+1], before[i:i+1]) {
				t.Fatalf("%s: wrote between the rows of C", what)
			}
			continue
		}
		var terms []float64
		if accumulate {
			terms = append(terms, float64(before[i]))
		}
		for l := range k {
			terms = append(terms, float64(a.data[row/rows*aStrip+row%rows*aRow+l*aCol])*float64(b.data[l*bRow+col]))
		}
		checkSum(t, fmt.Sprintf("%s: (%d, %d)", what, row, col), c.data[i], terms...)
	}
	for i := range m { // an element must not depend on its place in a tile
		row := gemmOutput(p, cols, false)
		copy(row.data, before[i*ldc:][:cols])
		s.MulPanel(1, k, a.data[min(i/rows*aStrip+i%rows*aRow, len(a.data)):], aRow, aCol, 0, b.data, bRow, row.data, cols, accumulate)
		if !slices.Equal(row.data, c.data[i*ldc:][:cols]) {
			t.Fatalf("%s: row %d alone has other bits", what, i)
		}
		row.free()
	}
}

// TestPack compares the copying kernels with their twins, which must agree bit for bit.
func TestPack(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		_, cols := s.GemmTile()
		for _, k := range []int{1, 2, 7, 8, 9, 16, 23, 40} {
			for n := 1; n <= 2*cols+9; n++ {
				for _, p := range places() {
					testPack(t, s, p, cols, n, k)
				}
			}
		}
	})
}

func testPack(t *testing.T, s ISA, p place, cols, n, k int) {
	panel := k*cols + 5
	size := (n-1)/cols*panel + k*cols
	check := func(what string, src *buffer, same func() bool, run func(dst []float32), want func(j, l int) float32) {
		dst := gemmOutput(p, size, false)
		run(dst.data)
		if !dst.intact() || !same() {
			t.Fatalf("%s %s n=%d k=%d: wrote outside of dst", what, p.name, n, k)
		}
		for j := range (n + cols - 1) / cols * cols {
			for l := range k {
				w := float32(0)
				if j < n {
					w = want(j, l)
				}
				if got := dst.data[j/cols*panel+l*cols+j%cols]; got != w {
					t.Fatalf("%s %s n=%d k=%d: (%d, %d) is %v, want %v", what, p.name, n, k, l, j, got, w)
				}
			}
		}
		dst.free()
		src.free()
	}
	ld := n + 2
	rows, same := gemmInput(p, 3, (k-1)*ld+n)
	check("PackRows", rows, same, func(dst []float32) { s.PackRows(dst, panel, rows.data, ld, n, k) },
		func(j, l int) float32 { return rows.data[l*ld+j] })
	ldt := k + 2
	columns, same := gemmInput(p, 4, (n-1)*ldt+k)
	check("PackColumns", columns, same, func(dst []float32) { s.PackColumns(dst, panel, columns.data, ldt, n, k) },
		func(j, l int) float32 { return columns.data[j*ldt+l] })
}

func TestPackStrips(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		rows, _ := s.GemmTile()
		for _, k := range []int{1, 2, 9} {
			for m := 1; m <= 3*rows+1; m++ {
				for _, p := range places() {
					ld, strip := m+1, k*rows+3
					src, same := gemmInput(p, 9, (k-1)*ld+m)
					dst := gemmOutput(p, (m-1)/rows*strip+k*rows, false)
					s.PackStrips(dst.data, strip, src.data, ld, m, k)
					if !dst.intact() || !same() {
						t.Fatalf("%s m=%d k=%d: wrote outside of dst", p.name, m, k)
					}
					for i := range m {
						for l := range k {
							if got, want := dst.data[i/rows*strip+l*rows+i%rows], src.data[l*ld+i]; got != want {
								t.Fatalf("%s m=%d k=%d: (%d, %d) is %v, want %v", p.name, m, k, i, l, got, want)
							}
						}
					}
					src.free()
					dst.free()
				}
			}
		}
	})
}

// TestCopies compares copies and transpositions of matrices with the plain loops.
func TestCopies(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, rows := range []int{1, 2, 7, 8, 9, 16, 17, 25} {
			for cols := 1; cols <= 67; cols++ {
				for _, p := range places() {
					lds, ldd := cols+1, rows+3
					src, same := gemmInput(p, 5, (rows-1)*lds+cols)
					dst := gemmOutput(p, (cols-1)*ldd+rows, true)
					want := slices.Clone(dst.data)
					transposeGo(want, ldd, src.data, lds, rows, cols)
					s.Transpose(dst.data, ldd, src.data, lds, rows, cols)
					if !dst.intact() || !same() || !slices.Equal(dst.data, want) {
						t.Fatalf("%s: transposing [%d, %d] is wrong", p.name, rows, cols)
					}
					dst.free()
					ldd = cols + 2
					dst = gemmOutput(p, (rows-1)*ldd+cols, true)
					want = slices.Clone(dst.data)
					for i := range rows {
						copy(want[i*ldd:][:cols], src.data[i*lds:])
					}
					s.CopyRows(dst.data, ldd, src.data, lds, rows, cols)
					if !dst.intact() || !same() || !slices.Equal(dst.data, want) {
						t.Fatalf("%s: copying [%d, %d] is wrong", p.name, rows, cols)
					}
					src.free()
					dst.free()
				}
			}
		}
	})
}

func TestDotRows(t *testing.T) {
	lengths := append(testLengths(), 512, 513, 1100)
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, k := range lengths {
			for m := 1; m <= 17; m++ {
				for i, p := range places() {
					testDotRows(t, s, p, m, 1+(m+k+i)%20, k, (m+k)%2 == 0)
				}
			}
		}
	})
}

func testDotRows(t *testing.T, s ISA, p place, m, n, k int, accumulate bool) {
	ldx, ldw, ldy := k+1, k+2, n+3
	x, xSame := gemmInput(p, 6, max(0, (m-1)*ldx+k))
	w, wSame := gemmInput(p, 7, max(0, (n-1)*ldw+k))
	y := gemmOutput(p, (m-1)*ldy+n, accumulate)
	defer x.free()
	defer w.free()
	defer y.free()
	before := slices.Clone(y.data)
	what := fmt.Sprintf("%s, m=%d n=%d k=%d accumulate=%t", p.name, m, n, k, accumulate)
	scratch := gemmOutput(p, DotScratch(m, k), false)
	defer scratch.free()
	s.DotRows(m, n, k, x.data, ldx, w.data, ldw, y.data, ldy, accumulate, scratch.data)
	if !y.intact() || !xSame() || !wSame() || !scratch.intact() {
		t.Fatalf("%s: wrote outside of Y", what)
	}
	slow := slices.Clone(before)
	s.DotRows(m, n, k, x.data, ldx, w.data, ldw, slow, ldy, accumulate, nil)
	if !sameBits(y.data, slow) {
		t.Fatalf("%s: other bits without scratch memory", what)
	}
	for i := range m {
		for j := range n {
			var terms []float64
			if accumulate {
				terms = append(terms, float64(before[i*ldy+j]))
			}
			for l := range k {
				terms = append(terms, float64(x.data[i*ldx+l])*float64(w.data[j*ldw+l]))
			}
			checkSum(t, fmt.Sprintf("%s: (%d, %d)", what, i, j), y.data[i*ldy+j], terms...)
		}
	}
	one := []float32{before[(m-1)*ldy+n-1]} // an element must not depend on the others
	if k > 0 {
		s.DotRows(1, 1, k, x.data[(m-1)*ldx:], ldx, w.data[(n-1)*ldw:], ldw, one, 1, accumulate, nil)
		if one[0] != y.data[len(y.data)-1] {
			t.Fatalf("%s: the last element alone has other bits", what)
		}
	}
}

// FuzzDotRows: tiles give bit for bit what one row of W after the other gives, in float32 and in bfloat16, with any bits in X.
func FuzzDotRows(f *testing.F) {
	f.Add(uint8(16), uint8(13), uint16(1040), uint64(1), uint32(0x7f800000))
	f.Add(uint8(7), uint8(6), uint16(1), uint64(2), uint32(0x80000001))
	f.Add(uint8(8), uint8(25), uint16(2085), uint64(3), uint32(0x7f7fffff))
	f.Fuzz(func(t *testing.T, rows, cols uint8, depth uint16, seed uint64, bits uint32) {
		m, n, k := int(rows)%40+1, int(cols)%40+1, int(depth)%2200+1
		r := newRand(seed)
		x, w, half := make([]float32, m*k), make([]float32, n*k), make([]uint16, n*k)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		for i := range w {
			w[i] = float32(r.NormFloat64())
			half[i] = bfloat16.FromFloat32(w[i])
		}
		x[r.IntN(len(x))] = math.Float32frombits(bits)
		scratch, got, want := make([]float32, DotScratch(m, k)), make([]float32, m*n), make([]float32, m*n)
		for _, s := range Available() {
			s.DotRows(m, n, k, x, k, w, k, got, n, false, scratch)
			s.DotRows(m, n, k, x, k, w, k, want, n, false, nil)
			if !sameBits(got, want) {
				t.Fatalf("%v: %dx%dx%d in tiles has other bits", s, m, n, k)
			}
			s.DotRowsBF16(m, n, k, x, k, half, k, got, n, false, scratch)
			s.DotRowsBF16(m, n, k, x, k, half, k, want, n, false, nil)
			if !sameBits(got, want) {
				t.Fatalf("%v: %dx%dx%d of bfloat16 in tiles has other bits", s, m, n, k)
			}
		}
	})
}

func TestReadSum(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for n := range 300 {
			for _, p := range places() {
				x, _ := gemmInput(p, 8, n)
				checkSum(t, fmt.Sprintf("%s: the sum of %d", p.name, n), s.ReadSum(x.data), widen(x.data)...)
				x.free()
			}
		}
	})
}

func TestGemmShortSlices(t *testing.T) {
	f := func(n int) []float32 { return make([]float32, n) }
	forEachISA(t, func(t *testing.T, s ISA) {
		_, cols := s.GemmTile()
		for name, run := range map[string]func(){
			"A":           func() { s.MulPanel(2, 3, f(5), 3, 1, 0, f(3*cols), cols, f(2*cols), cols, false) },
			"B":           func() { s.MulPanel(2, 3, f(6), 3, 1, 0, f(3*cols-1), cols, f(2*cols), cols, false) },
			"C":           func() { s.MulPanel(2, 3, f(6), 3, 1, 0, f(3*cols), cols, f(2*cols-1), cols, false) },
			"PackRows":    func() { s.PackRows(f(2*cols), 0, f(2*cols-1), cols, cols, 2) },
			"PackColumns": func() { s.PackColumns(f(2*cols-1), 0, f(2*cols), 2, cols, 2) },
			"X":           func() { s.DotRows(1, 1, 9, f(8), 9, f(9), 9, f(1), 1, false, nil) },
			"W":           func() { s.DotRows(1, 2, 9, f(9), 9, f(17), 9, f(2), 2, false, nil) },
			"Y":           func() { s.DotRows(1, 2, 9, f(9), 9, f(18), 9, f(1), 2, false, nil) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s one short: no panic", name)
					}
				}()
				run()
			}()
		}
	})
}

// FuzzMulPanel compares the assembly with its twin on any bits: both give NaN, or both the same to rounding.
func FuzzMulPanel(f *testing.F) {
	f.Add(uint8(5), uint8(9), uint64(1), uint32(0x7f800000))
	f.Add(uint8(13), uint8(1), uint64(2), uint32(0x00000001))
	f.Fuzz(func(t *testing.T, m, k uint8, seed uint64, bits uint32) {
		if m == 0 || k == 0 {
			return
		}
		for _, s := range Available() {
			rows, cols := s.GemmTile()
			r := newRand(seed)
			a, b := make([]float32, int(m)*int(k)), make([]float32, int(k)*cols)
			for i := range a {
				a[i] = float32(r.NormFloat64())
			}
			for i := range b {
				b[i] = float32(r.NormFloat64())
			}
			a[r.IntN(len(a))] = math.Float32frombits(bits)
			c := make([]float32, int(m)*cols)
			s.MulPanel(int(m), int(k), a, int(k), 1, rows*int(k), b, cols, c, cols, false)
			for i := range c {
				var sum, size float64
				for l := range int(k) {
					v := float64(a[i/cols*int(k)+l]) * float64(b[l*cols+i%cols])
					sum += v
					size += math.Abs(v)
				}
				got := float64(c[i])
				if size > math.MaxFloat32/2 || size != size {
					if got == got && size != size {
						t.Fatalf("%v: element %d is %v, want NaN", s, i, got)
					}
					continue
				}
				if d := math.Abs(got - sum); !(d <= size*float64(int(k)+1)*0x1p-24+float64(k)*0x1p-149) {
					t.Fatalf("%v: element %d is %v, want %v", s, i, got, sum)
				}
			}
		}
	})
}

// TestGeneratedGemmCode regenerates the assembly and compares it with the files at hand.
func TestGeneratedGemmCode(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: does not run the generator")
	}
	if _, err := os.Stat("_asm"); err != nil {
		t.Skip("the generator is not here: ", err)
	}
	dir := t.TempDir()
	generator := filepath.Join(dir, "gemm")
	if out, err := exec.Command("go", "build", "-C", "_asm", "-o", generator, "./gemm").CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("cannot find module")) || bytes.Contains(out, []byte("dial tcp")) ||
			bytes.Contains(out, []byte("module lookup disabled")) {
			t.Skipf("the generator's modules are not available: %s", out)
		}
		t.Fatalf("building the generator: %v\n%s", err, out)
	}
	names := []string{"gemm_amd64.s", "gemm_stubs_amd64.go"}
	args := []string{"-pkg", "kernel", "-out", filepath.Join(dir, names[0]), "-stubs", filepath.Join(dir, names[1])}
	if out, err := exec.Command(generator, args...).CombinedOutput(); err != nil {
		t.Fatalf("generating: %v\n%s", err, out)
	}
	for _, name := range names {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, got, _ = bytes.Cut(got, []byte("\n")) // the first line names the command
		_, want, _ = bytes.Cut(want, []byte("\n"))
		if len(got) < 1000 || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate", name)
		}
	}
}
