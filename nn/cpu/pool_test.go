package cpu

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolRunsEveryPieceOnce(t *testing.T) {
	for threads := 1; threads <= 4; threads++ {
		p := newPool(threads)
		for round := range 300 {
			n := round % 37
			count := make([]atomic.Int32, n)
			p.run(n, func(worker, i int) {
				if worker < 0 || worker >= threads {
					t.Errorf("worker %d of %d", worker, threads)
				}
				count[i].Add(1)
			})
			for i := range count {
				if c := count[i].Load(); c != 1 {
					t.Fatalf("%d threads, %d pieces: piece %d ran %d times", threads, n, i, c)
				}
			}
			if round%50 == 0 {
				time.Sleep(2 * spinTime) // let the workers sleep
			}
		}
		p.close()
	}
}

func TestPoolPanic(t *testing.T) {
	cause := errors.New("bad piece")
	for _, threads := range []int{1, 3} {
		p := newPool(threads)
		for _, bad := range []int{0, 7, 19} {
			func() {
				defer func() {
					err, ok := recover().(error)
					if !ok || !errors.Is(err, cause) {
						t.Errorf("%d threads: recovered %v", threads, err)
					}
					if threads > 1 && !strings.Contains(fmt.Sprint(err), "TestPoolPanic") {
						t.Errorf("the stack is missing in %v", err)
					}
				}()
				p.run(20, func(worker, i int) {
					if i == bad {
						panic(cause)
					}
				})
				t.Errorf("%d threads: no panic came out", threads)
			}()
			ran := atomic.Int32{}
			p.run(5, func(worker, i int) { ran.Add(1) })
			if ran.Load() != 5 {
				t.Errorf("after a panic %d of 5 pieces ran", ran.Load())
			}
		}
		p.close()
	}
}

func TestPoolAllocations(t *testing.T) {
	p := newPool(2)
	defer p.close()
	f := func(worker, i int) {}
	if n := testing.AllocsPerRun(100, func() { p.run(8, f) }); n != 0 {
		t.Errorf("a region allocates %v times", n)
	}
}

// BenchmarkPool measures a region without work: gap is the time between regions, beyond spinTime the workers sleep.
func BenchmarkPool(b *testing.B) {
	for _, gap := range []time.Duration{0, 20 * time.Microsecond, 2 * time.Millisecond} {
		for _, n := range []int{2, 16} {
			b.Run(fmt.Sprintf("pieces=%d/gap=%v/threads=2", n, gap), func(b *testing.B) {
				p := newPool(2)
				defer p.close()
				busy := func(d time.Duration) {
					for start := time.Now(); time.Since(start) < d; {
					}
				}
				var inside time.Duration
				f := func(worker, i int) {}
				for b.Loop() {
					start := time.Now()
					p.run(n, f)
					inside += time.Since(start)
					busy(gap)
				}
				b.ReportMetric(float64(inside.Nanoseconds())/float64(b.N), "ns/region")
			})
		}
	}
}
