package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/serve/servetest"
	"github.com/calm-go/calm/run"
)

// TestServe: a line for each number of readers, of random weights and of a run, in process and over HTTP.
func TestServe(t *testing.T) {
	runs, err := servetest.Train(t.TempDir(), servetest.Song)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ServeOptions){
		"serve/lm-bytes": func(o *ServeOptions) { o.Presets, o.Set = []string{"lm-bytes"}, tinySets(run.LM) },
		"serve/ar":       func(o *ServeOptions) { o.Run = runs.AR },
		"serve/http/lm":  func(o *ServeOptions) { o.Run, o.HTTP = runs.LM, true },
		"serve/lm-bytes T=0": func(o *ServeOptions) {
			o.Presets, o.Set, o.Temperature, o.Draws = []string{"lm-bytes"}, tinySets(run.LM), 0, 5
		},
		"serve/http/lm T=.5": func(o *ServeOptions) { o.Run, o.HTTP, o.Temperature, o.Sampler = runs.LM, true, .5, "batch" },
	} {
		o, list := collect()
		o.Seconds = .2
		s := ServeOptions{GenerateOptions: GenerateOptions{Options: o, Prompt: 9, Temperature: 1}, Streams: []int{1, 3}, Tokens: 16}
		change(&s)
		if err := Serve(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		last := (*list)[len(*list)-2:]
		want, _, _ := strings.Cut(name, " ")
		for i, r := range last {
			if r.Name != want || !strings.HasPrefix(r.Shape, []string{"1 stream,", "3 streams,"}[i]) || r.Runs == 0 || !(r.TokensPerS > 0) || !(r.FirstMS > 0 && r.FirstMS <= r.FirstMSP95 && r.FirstMSP95 <= r.FirstMSP99) {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if last[0].OverOne != 0 || last[1].OverOne != last[1].TokensPerS/last[0].TokensPerS {
			t.Errorf("%s: %v and %v of the first line", name, last[0].OverOne, last[1].OverOne)
		}
		if s.HTTP != (len(*list) == 4) {
			t.Errorf("%s: %d lines", name, len(*list))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	o, _ := collect()
	o.Seconds = 1000
	s := ServeOptions{GenerateOptions: GenerateOptions{Options: o, Run: runs.LM, Prompt: 9, Temperature: 1}, Streams: []int{2}, Tokens: 16}
	if err := Serve(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
	s.Run = runs.AE
	if err := Serve(t.Context(), s); err == nil || !strings.Contains(err.Error(), "kind ae") {
		t.Errorf("an autoencoder: %v", err)
	}
}

func TestServeRefuses(t *testing.T) {
	for want, change := range map[string]func(*ServeOptions){
		"--streams 0":    func(o *ServeOptions) { o.Streams = []int{1, 0} },
		"--streams 1001": func(o *ServeOptions) { o.Streams = []int{1001} },
		"--tokens 1":     func(o *ServeOptions) { o.Tokens = 1 },
		"--http needs":   func(o *ServeOptions) { o.HTTP = true },
		"--isa":          func(o *ServeOptions) { o.HTTP, o.Run, o.ISA = true, "x", "portable" },
	} {
		o, _ := collect()
		s := ServeOptions{GenerateOptions: GenerateOptions{Options: o, Prompt: 9, Temperature: 1}, Streams: []int{1}, Tokens: 16}
		change(&s)
		if _, ok := errors.AsType[*run.UsageError](Serve(t.Context(), s)); !ok || !strings.Contains(Serve(t.Context(), s).Error(), want) {
			t.Errorf("want %q: %v", want, Serve(t.Context(), s))
		}
	}
}

// TestQuantiles: the smallest number that at least so many are not above.
func TestQuantiles(t *testing.T) {
	var x []float64
	for i := range 200 {
		x = append(x, float64(199-i))
	}
	if a, b, c := quantiles(x); a != 99 || b != 189 || c != 197 {
		t.Errorf("%v, %v, %v", a, b, c)
	}
	if a, b, c := quantiles([]float64{7}); a != 7 || b != 7 || c != 7 {
		t.Errorf("of one number: %v, %v, %v", a, b, c)
	}
	if a, b, c := quantiles(nil); a != 0 || b != 0 || c != 0 {
		t.Errorf("of none: %v, %v, %v", a, b, c)
	}
}
