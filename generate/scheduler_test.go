package generate

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// alone returns the first tokens of the text that a mixer writes after a prompt, and how often its context slides.
func alone(t *testing.T, k int, prompt []int32, o Options) ([]int32, int) {
	t.Helper()
	x, err := generator(t, &mixer{patch: k, positions: 10}, nil).Text(prompt, o)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int32
	for c, err := range x.Chunks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.Tokens...)
	}
	return ids, x.Result().Slides
}

// TestTogether: texts of many readers that come, leave and dawdle are each what they are alone, whether their patches are done
// at once or not. Nothing is left when they have gone.
func TestTogether(t *testing.T) {
	const k, readers, texts = 4, 40, 12
	m := &mixer{patch: k, positions: 10}
	hesitation := rand.New(rand.NewPCG(1, 2))
	m.hesitates = func() bool { return hesitation.IntN(4) == 0 }
	g := generator(t, m, nil)
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for reader := range readers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(reader)))
			for range texts {
				prompt := make([]int32, r.IntN(60))
				for i := range prompt {
					prompt[i] = r.Int32N(256)
				}
				o := Options{Context: k * (2 + r.IntN(9)), MaxTokens: 1 + r.IntN(80)}
				want, slides := alone(t, k, prompt, o)
				leaveAfter := r.IntN(3 * len(want))
				x, err := g.Text(prompt, o)
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithCancel(t.Context())
				var got []int32
				for {
					c, err := x.Next(ctx)
					if err == io.EOF || errors.Is(err, context.Canceled) {
						break
					} else if err != nil {
						t.Error(err)
						break
					}
					got = append(got, c.Tokens...)
					if len(got) > leaveAfter {
						if r.IntN(2) == 0 {
							x.Leave()
						} else {
							cancel()
						}
					}
					if r.IntN(10) == 0 {
						time.Sleep(time.Duration(r.IntN(200)) * time.Microsecond)
					}
				}
				cancel()
				whole := x.Result().Stop == StopMaxTokens
				if !slices.Equal(got, want[:len(got)]) || whole && (len(got) != len(want) || x.Result().Slides != slides) || !whole && x.Result().Stop != StopInterrupted {
					t.Errorf("%v, %+v, want %v", got, x.Result(), want)
				}
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines are left of %d readers", n-before, readers)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.together[MaxStreams] == 0 {
		t.Errorf("so many texts were written at once so often: %v", m.together)
	}
	if m.readTogether[2] == 0 || m.readTogether[3] > 0 {
		t.Errorf("so many prompts were read at once so often: %v", m.readTogether)
	}
	for slot, has := range m.has {
		if has != nil {
			t.Errorf("slot %d was not ended", slot)
		}
	}
}

// TestOneGoroutineReadsMany: one goroutine may read more texts than there are slots, in any order. Those that are not read
// while others wait are put aside.
func TestOneGoroutineReadsMany(t *testing.T) {
	const k, texts, tokens = 4, 3 * MaxStreams, 60
	m := &mixer{patch: k, positions: 10}
	g := generator(t, m, nil)
	o := Options{MaxTokens: tokens}
	var open []*Text
	got := make([][]int32, texts)
	for i := range texts {
		x, err := g.Text([]int32{int32(i)}, o)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, x)
	}
	for range tokens / k {
		for i, x := range open {
			c, err := x.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got[i] = append(got[i], c.Tokens...)
		}
	}
	for i, x := range open {
		if want, _ := alone(t, k, []int32{int32(i)}, o); !slices.Equal(got[i], want) || x.Result().Stop != StopMaxTokens {
			t.Fatalf("text %d: %v, want %v", i, got[i], want)
		}
	}
}

// TestWrittenAhead: a text is written two patches ahead of its reader, and no further. Nothing is written before the reader
// begins, and nothing computes while it does not read.
func TestWrittenAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mixer{patch: 4, positions: 10}
		g := generator(t, m, nil)
		x, err := g.Text(nil, Options{MaxTokens: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			synctest.Wait()
			want := 0
			if n > 0 {
				want = n + ahead
			}
			if m.together[1] != want || g.writing {
				t.Fatalf("%d patches are written when %d have been read; a goroutine waits: %v", m.together[1], n, g.writing)
			}
			if _, err := x.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		x.Leave()
	})
}

// TestErrorOfOne: an error of one text does not touch the others.
func TestErrorOfOne(t *testing.T) {
	m, broken := &mixer{patch: 4, positions: 10}, errors.New("broken")
	m.fails = func(slot, step int) error {
		if slot == 1 && step == 3 {
			return broken
		}
		return nil
	}
	g := generator(t, m, nil)
	var texts []*Text
	for i := range 3 {
		x, err := g.Text([]int32{int32(i)}, Options{MaxTokens: 40})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Next(t.Context()); err != nil { // so that slots are in order
			t.Fatal(err)
		}
		texts = append(texts, x)
	}
	for i, x := range texts {
		var last error
		for _, last = range x.Chunks(t.Context()) {
		}
		if (i == 1) != errors.Is(last, broken) {
			t.Errorf("text %d: %v", i, last)
		}
		if r := x.Result(); i == 1 && (r.Stop != StopError || r.Patches != 3) || i != 1 && (r.Stop != StopMaxTokens || r.Tokens != 40) {
			t.Errorf("text %d: %+v", i, r)
		}
	}
}

// TestClose: texts of a closed generator end with ErrClosed, those that are waited for too.
func TestClose(t *testing.T) {
	g := generator(t, &mixer{patch: 4, positions: 10}, nil)
	var wg sync.WaitGroup
	for i := range 2 * MaxStreams {
		x, err := g.Text([]int32{int32(i)}, Options{MaxTokens: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for _, err := range x.Chunks(t.Context()) {
				if err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
			if r := x.Result(); r.Stop != StopError {
				t.Errorf("%+v", r)
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	g.Close()
	wg.Wait()
	x, err := g.Text(nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a text of a closed generator: %v", err)
	}
	g.Close()
}

// TestCancelledWhileWaiting: a reader whose context ends does not wait for the patch.
func TestCancelledWhileWaiting(t *testing.T) {
	m := &mixer{patch: 4, positions: 10}
	m.hesitates = func() bool { time.Sleep(time.Millisecond); return true } // it never gets anywhere
	x, err := generator(t, m, nil).Text(nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := x.Next(ctx); !errors.Is(err, context.DeadlineExceeded) || x.Result().Stop != StopInterrupted {
		t.Errorf("%v, %+v", err, x.Result())
	}
}
