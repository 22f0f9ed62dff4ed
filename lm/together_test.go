package lm_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
)

// randomText is a prompt for a model, and options.
func randomText(r *rand.Rand, m *lm.Model) ([]int32, generate.Options) {
	o := generate.Options{Temperature: []float64{0, 0, .7, .5, .34, generate.Greedy}[r.IntN(6)], Seed: r.Uint64(), MaxTokens: 1 + r.IntN(60), Context: 16 + r.IntN(150)}
	switch r.IntN(4) {
	case 0:
		o.Sampler, o.Draws = generate.Batch, []int{0, 5, 30, 300}[r.IntN(4)]
	case 1:
		o.Draws = []int{0, 3, 16, 17, 64, 600}[r.IntN(6)]
	case 2:
		if o.Temperature != generate.Greedy && o.Temperature != .34 {
			o.Sampler, o.Draws = generate.Exact, 0
		}
	}
	prompt := make([]int32, r.IntN(120))
	for i := range prompt {
		prompt[i] = r.Int32N(int32(m.Config.VocabSize))
	}
	return prompt, o
}

// TestTextsTogether: texts of any lengths, temperatures and samplers, some of which are cancelled, are what they are alone.
func TestTextsTogether(t *testing.T) {
	eachHead(t, func(t *testing.T, kind string) {
		m, readers, texts := sampling(t, kind), 2*generate.MaxStreams, 4
		if testing.Short() {
			texts = 1
		}
		together, alone := generator(t, 2, m), generator(t, 1, m)
		type job struct {
			prompt []int32
			o      generate.Options
			want   []int32
			err    error
		}
		jobs := make([][]job, readers)
		for i := range jobs {
			r := rand.New(rand.NewPCG(5, uint64(i)))
			for range texts {
				j := job{}
				j.prompt, j.o = randomText(r, m)
				j.want, j.err = writeText(t.Context(), alone, j.prompt, j.o, 1<<30)
				jobs[i] = append(jobs[i], j)
			}
		}
		var wg sync.WaitGroup
		for i := range jobs {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(6, uint64(i)))
				for _, j := range jobs[i] {
					stopAfter := 1 << 30
					if r.IntN(3) == 0 {
						stopAfter = r.IntN(40)
					}
					got, err := writeText(t.Context(), together, j.prompt, j.o, stopAfter)
					if whole := len(got) < stopAfter; whole && !sameError(err, j.err) || len(got) > len(j.want) || !slices.Equal(got, j.want[:len(got)]) || whole && len(got) != len(j.want) {
						t.Errorf("%+v: %v, %v; want %v, %v", j.o, got, err, j.want, j.err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// generator writes ids with a model, on an engine of its own.
func generator(t *testing.T, threads int, m *lm.Model) *generate.Generator {
	g, err := generate.New(engine(t, threads), m, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// sameError compares errors by their texts: those of different runs are not equal. How many draws diverged is in the text.
func sameError(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
}

// writeText writes a text, and cancels it after a number of tokens.
func writeText(ctx context.Context, g *generate.Generator, prompt []int32, o generate.Options, stopAfter int) (ids []int32, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x, err := g.Text(prompt, o)
	if err != nil {
		return nil, err
	}
	for {
		c, err := x.Next(ctx)
		if err == io.EOF {
			return ids, nil
		}
		if err != nil {
			return ids, err
		}
		if ids = append(ids, c.Tokens...); len(ids) >= stopAfter {
			cancel()
		}
	}
}

// TestDivergedTogether: a text whose draws diverge does not touch the others, and its error counts its own draws alone.
func TestDivergedTogether(t *testing.T) {
	m := testkit.WithHead(head.DiffusionType) // untrained: all diverge
	g := generator(t, 2, m)
	_, alone := writeText(t.Context(), g, []int32{1}, generate.Options{}, 100)
	if _, ok := errors.AsType[*head.DivergedError](alone); !ok {
		t.Fatal(alone)
	}
	want := alone.Error()
	var wg sync.WaitGroup
	for range generate.MaxStreams {
		wg.Go(func() {
			if _, err := writeText(t.Context(), g, []int32{1}, generate.Options{}, 100); err == nil || err.Error() != want {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
	wg.Wait()
}

// TestPutAsideLeavesNothing: texts that are put aside, and then left or never read again, leave no goroutine behind.
func TestPutAsideLeavesNothing(t *testing.T) {
	const texts = 3 * generate.MaxStreams
	before := runtime.NumGoroutine()
	g, err := generate.New(engine(t, 1), tiny(nil), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		x, err := g.Text([]int32{int32(i % 5)}, generate.Options{Temperature: .5, Draws: 4})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i < texts/2 {
			defer x.Leave() // after Close: too late
		} else if i%2 == 0 {
			x.Leave()
		}
	}
	g.Close()
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines are left of %d texts", n-before, texts)
	}
}
