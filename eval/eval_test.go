package eval_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/metric"
)

// TestUnigram compares the baselines with scores computed here, at the first token of every patch but the first of a block.
func TestUnigram(t *testing.T) {
	train, held := testkit.Letters(t, corpus.Language, 4, 8), testkit.Letters(t, corpus.Language, 4, 24)
	o := eval.Options{MaxBlocks: 5}
	r, err := eval.Unigram(t.Context(), train, held, 259, 4, o)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[int32]float64{}
	all := testkit.IDs(t, train)
	for _, id := range all {
		counts[id] += 1 / float64(len(all))
	}
	collision := 0.0
	for _, p := range counts {
		collision += p * p
	}
	ids, want := testkit.IDs(t, held), 0.0
	n := int(held.Len())
	for i := range 5 {
		block := ids[i*n/5*24:][:24]
		for at := 4; at < 24; at += 4 {
			want += 100 * (2*counts[block[at]] - collision) / 25
		}
	}
	if math.Abs(r.Unigram.Brier[0]-want) > 1e-9 || r.Unigram.Positions != 25 || r.Unigram.Blocks != 5 {
		t.Errorf("Brier-1 of the unigram %v at %d positions of %d blocks, want %v", r.Unigram.Brier[0], r.Unigram.Positions, r.Unigram.Blocks, want)
	}
	if want := 100 * math.Pow(259, -2.5); math.Abs(float64(r.Uniform.BrierLM)-want) > 1e-12 || r.Uniform.Positions != 25 {
		t.Errorf("BrierLM of the uniform model %v, want %v", r.Uniform.BrierLM, want)
	}
	if _, err := eval.Unigram(t.Context(), train, held, 100, 4, o); err == nil || !strings.Contains(err.Error(), "another tokenizer") {
		t.Errorf("a vocabulary of 100: %v", err)
	}
}

// TestCheck: negative numbers are errors, and so is a number that is not finite.
func TestCheck(t *testing.T) {
	for want, o := range map[string]eval.Options{"": {MaxBlocks: 3, Rows: 2}, "-1 blocks at a time": {Rows: -1}, "at most -2 blocks": {MaxBlocks: -2}} {
		if err := o.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if err := eval.Finite("loss", v); err == nil || !strings.Contains(err.Error(), "the loss is "+fmt.Sprint(v)) {
			t.Errorf("%v: %v", v, err)
		}
	}
	if err := eval.Finite("loss", 3); err != nil {
		t.Error(err)
	}
}

// TestCheckLayout: a layout of another kind or patch size, and blocks that are no whole patches or too short, are errors.
func TestCheckLayout(t *testing.T) {
	language, ae := testkit.Letters(t, corpus.Language, 4, 24), testkit.Letters(t, corpus.Autoencoder, 4, 24)
	for _, c := range []struct {
		blocks       *corpus.Blocks
		kind         corpus.Kind
		patch, least int
		want         string
	}{
		{language, corpus.Language, 4, 6, ""}, {language, corpus.Language, 8, 2, ""}, {ae, corpus.Autoencoder, 4, 1, ""},
		{ae, corpus.Language, 4, 1, "laid out for the autoencoder"}, {language, corpus.Autoencoder, 4, 1, "laid out for the language"},
		{language, corpus.Language, 5, 1, "want a multiple of the patch size, 5"}, {language, corpus.Language, 4, 7, "want 28 or more"},
		{ae, corpus.Autoencoder, 6, 1, "patches of 4"},
	} {
		err := eval.CheckLayout(c.blocks, c.kind, c.patch, c.least)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("patches of %d, %d at least: %v, want %q", c.patch, c.least, err, c.want)
		}
		if short := c.least == 7; errors.Is(err, eval.ErrShortBlock) != short {
			t.Errorf("%v is ErrShortBlock: %t", err, !short)
		}
	}
}

// TestSelect: the chosen blocks are spread evenly over the text, in batches of about equal size.
func TestSelect(t *testing.T) {
	b := testkit.Letters(t, corpus.Language, 1, 24)
	ids, n := testkit.IDs(t, b), int(b.Len())
	for _, c := range []struct {
		o             eval.Options
		atOnce        int
		total, rows   int
		batches, last int // the last batch's rows
	}{
		{eval.Options{}, 24 * 1000, n, n, 1, n},
		{eval.Options{MaxBlocks: 10, Rows: 4}, 1, 10, 4, 3, 2},
		{eval.Options{MaxBlocks: 10}, 24 * 4, 10, 4, 3, 2},
		{eval.Options{MaxBlocks: 9}, 24 * 5, 9, 5, 2, 4},
		{eval.Options{MaxBlocks: 3}, 1, 3, 1, 3, 1},
		{eval.Options{MaxBlocks: n + 1, Rows: n + 1}, 1, n, n, 1, n},
	} {
		s := eval.Select(b, c.o, c.atOnce)
		if s.Total != c.total || s.Rows != c.rows || s.BlockSize() != 24 {
			t.Errorf("%+v: %d blocks of %d, %d at a time; want %d, %d at a time", c.o, s.Total, s.BlockSize(), s.Rows, c.total, c.rows)
			continue
		}
		batches, rows, blocks := 0, 0, 0
		var done []int
		err := s.Each(t.Context(), func(n, total int) {
			if done = append(done, n); total != c.total {
				t.Errorf("%+v: a total of %d, want %d", c.o, total, c.total)
			}
		}, func(batch, r int, got []int32) error {
			if batch != batches || len(got) != r*24 {
				t.Errorf("%+v: batch %d of %d rows has number %d and %d ids", c.o, batches, r, batch, len(got))
			}
			for i := range r {
				at := (blocks + i) * n / c.total * 24
				if !slices.Equal(got[i*24:][:24], ids[at:at+24]) {
					t.Errorf("%+v: block %d is another than block %d of the text", c.o, blocks+i, at/24)
				}
			}
			batches, rows, blocks = batches+1, r, blocks+r
			return nil
		})
		if err != nil || batches != c.batches || rows != c.last || blocks != c.total || len(done) != batches || done[batches-1] != c.total {
			t.Errorf("%+v: %d batches, the last of %d rows, %d blocks, done %v, %v", c.o, batches, rows, blocks, done, err)
		}
	}
}

// TestEachStops: a cancelled context ends the batches, and so does an error, which names the batch.
func TestEachStops(t *testing.T) {
	s := eval.Select(testkit.Letters(t, corpus.Language, 1, 24), eval.Options{Rows: 4, MaxBlocks: 10}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	batches := 0
	err := s.Each(ctx, nil, func(int, int, []int32) error {
		batches++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || batches != 1 {
		t.Errorf("%d batches, %v; want one, context.Canceled", batches, err)
	}
	failed := errors.New("failed")
	err = s.Each(t.Context(), nil, func(batch, _ int, _ []int32) error {
		if batch == 1 {
			return failed
		}
		return nil
	})
	if !errors.Is(err, failed) || !strings.Contains(err.Error(), "batch 2 of 3") {
		t.Errorf("%v, want one that names batch 2 of 3", err)
	}
}

// TestScores: BrierLM comes first, and is NaN where it is not measurable. People get a sentence instead.
func TestScores(t *testing.T) {
	for _, c := range []struct {
		score brier.Score
		lm    float64
		line  string
	}{
		{brier.Score{.5, .5, .5, .5}, 50, "BrierLM        50.000  [50.000, 50.000]"},
		{brier.Score{.5, .5, .5, 0}, math.NaN(), "BrierLM        not measurable: a Brier score is not above 0"},
	} {
		r := c.score.Result()
		got, want := eval.Scores(r), []metric.Metric{{Name: "brier_lm", Value: c.lm}, {Name: "brier_1", Value: 50}, {Name: "brier_2", Value: 50},
			{Name: "brier_3", Value: 50}, {Name: "brier_4", Value: 100 * c.score[3]}}
		if diff := cmp.Diff(want, got, testkit.Untimed); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		var b strings.Builder
		eval.PrintScores(&b, r, []int{7, 3})
		if !strings.Contains(b.String(), c.line) || !strings.Contains(b.String(), "rollouts       7 3 of 0 positions") {
			t.Errorf("prints %q, want %q", b.String(), c.line)
		}
	}
}
