package lm_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestMeasuredFlow compares the evaluator's loss and scores with those computed here from the graph's hidden states.
func TestMeasuredFlow(t *testing.T) {
	const size, samples = 24, 3
	e, m, b := engine(t, 2), testkit.WithHead(head.FlowType), testkit.Letters(t, corpus.Language, 4, size)
	n, per := int(b.Len()), size/4-1
	ids := testkit.IDs(t, b)
	ev := m.Evaluation(n, size, m.Config.NumSamples)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	const stream = 9 ^ 0x6576616c75617465
	p.SetDraws(stream, 0)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	tokens, err := m.NewSampler(e, n*per, samples).Draw(p.Floats(ev.Hidden), stream, 0)
	if err != nil {
		t.Fatal(err)
	}
	est, err := brier.NewEstimator(samples, 4)
	if err != nil {
		t.Fatal(err)
	}
	var acc brier.Accumulator
	for i := range n {
		var drawn []int32
		for j := range per {
			for s := range samples {
				drawn = append(drawn, tokens[(s*n*per+i*per+j)*4:][:4]...)
			}
		}
		est.Add(&acc, i, drawn, ids[i*size+4:(i+1)*size])
	}
	want := lm.Measurement{Result: acc.Result(9), Head: lm.HeadMetrics{{Name: "flow_loss", Value: float64(p.Scalar(ev.Head.Loss))}},
		Samples: samples, BlockSize: size, Tokens: n * per * 4, Drawn: n * per * samples}
	got, err := measure(t.Context(), e, m, b, eval.Options{Seed: 9, Samples: samples, Rows: n})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, testkit.Untimed); diff != "" || want.Brier[0] == 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSamplesOfEveryHead: the number of samples changes the width of the intervals, but not the expectation.
func TestSamplesOfEveryHead(t *testing.T) {
	e, b := engine(t, 2), testkit.Letters(t, corpus.Language, 4, 24)
	for _, kind := range head.Names() {
		m := testkit.WithHead(kind)
		best, err := measure(t.Context(), e, m, b, eval.Options{Samples: 600})
		if err != nil {
			t.Fatal(err)
		}
		for _, samples := range []int{2, 3, 8} {
			r, err := measure(t.Context(), e, m, b, eval.Options{Samples: samples})
			if err != nil {
				t.Fatal(err)
			}
			if iv := r.BrierInterval[0]; best.Brier[0] < iv.Lo || best.Brier[0] > iv.Hi || r.Drawn != samples*r.Positions {
				t.Errorf("%s: Brier-1 %v with 600 samples, %v in [%v, %v] with %d", kind, best.Brier[0], r.Brier[0], iv.Lo, iv.Hi, samples)
			}
		}
	}
}

// TestFlowInPieces: with so many samples that only few positions are drawn at a time, each position gets its own draws.
func TestFlowInPieces(t *testing.T) {
	e, m, b := engine(t, 2), testkit.WithHead(head.FlowType), testkit.Letters(t, corpus.Language, 4, 24)
	var brier1 []float64
	for _, samples := range []int{1500, 2500} { // 3 or 2 of the 10 positions at a time
		r, err := measure(t.Context(), e, m, b, eval.Options{Samples: samples, MaxBlocks: 2})
		if err != nil {
			t.Fatal(err)
		}
		brier1 = append(brier1, r.Brier[0])
	}
	// The standard deviation of a mean over 1500 samples is below a tenth of a percent.
	if math.Abs(brier1[0]-brier1[1]) > 1 || brier1[0] == 0 {
		t.Errorf("Brier-1 %v", brier1)
	}
}

// TestMeasuredDiverged: a draw that diverges counts as an outcome that never occurs in the text.
func TestMeasuredDiverged(t *testing.T) {
	e, m, b := engine(t, 2), testkit.WithHead(head.DiffusionType), testkit.Letters(t, corpus.Language, 4, 24)
	r, err := measure(t.Context(), e, m, b, eval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loss := r.Head.Value("diffusion_loss")
	if sum := r.Head.Value("diffusion_mse") + r.Head.Value("diffusion_vb"); !(loss > 0) || math.Abs(sum-loss) > 1e-6*loss || len(r.Head) != 3 {
		t.Errorf("%+v", r)
	}
	positions := int(b.Len()) * 5
	if all := [brier.N]float64{-100, -100, -100, -100}; r.Brier != all || r.Measurable || r.Positions != positions || r.Drawn != 2*positions || r.Diverged != r.Drawn {
		t.Errorf("all draws diverge, but the result is %+v", r)
	}
}

// TestDivergedInPartialBatch: rows that fill up the last batch are no draws, whatever the number of rows in a batch and the size of
// patches.
func TestDivergedInPartialBatch(t *testing.T) {
	e, checked := engine(t, 2), 0
	for _, k := range []int{2, 4} {
		c, ae := testkit.Set(testkit.TinyLM(), "model_type=diffusion"), testkit.TinyAutoencoder()
		c.PatchSize, ae.PatchSize = k, k
		m := lm.New(c, ae, nn.NewParams())
		m.Initialize(3)
		b := testkit.Letters(t, corpus.Language, k, 24)
		for rows := 1; rows <= int(b.Len()); rows++ {
			r, err := measure(t.Context(), e, m, b, eval.Options{Rows: rows})
			if err != nil {
				t.Fatal(err)
			}
			if want := 2 * int(b.Len()) * (24/k - 1); r.Diverged != want || r.Drawn != want {
				t.Errorf("K = %d, %d rows in a batch of %d: %d of %d draws diverged; want all %d", k, rows, b.Len(), r.Diverged, r.Drawn, want)
			}
			if int(b.Len())%rows != 0 {
				checked++
			}
		}
	}
	if checked == 0 {
		t.Error("no batch was partial")
	}
}

// TestSomeDiverge uses a velocity with which half of the draws diverge, and a decoder that gives the same patch for all
// others. Two draws are equal if both diverge or neither does. Diverged draws are not continued.
func TestSomeDiverge(t *testing.T) {
	e := engine(t, 2)
	c, ae := testkit.Set(testkit.TinyLM(), "model_type=flow", "sampling_steps=3"), testkit.TinyAutoencoder()
	for k, want := range map[int][brier.N]float64{4: {-50, -50, -50, -50}, 2: {-50, -50, -37.5, -37.5}} {
		c.PatchSize, ae.PatchSize = k, k
		m := lm.New(c, ae, nn.NewParams())
		m.Initialize(3)
		clear(m.Params.Get("ae_model.encoder.embed_tokens.weight").Data) // all tokens are equally likely
		clear(m.Params.Get("generative_head.net.final_layer.linear.weight").Data)
		m.Params.Get("generative_head.net.final_layer.linear.bias").Data[0] = 100
		r, err := measure(t.Context(), e, m, testkit.Repeated(t, "abcb", 4000, corpus.Language, k, 6*k), eval.Options{})
		if err != nil {
			t.Fatal(err)
		}
		near := func(what string, got, want, scale float64) {
			if math.Abs(got-want) > 4*.5*scale/math.Sqrt(float64(r.Positions)) {
				t.Errorf("K = %d: %s %v, want about %v", k, what, got, want)
			}
		}
		near("share of draws that diverged", float64(r.Diverged)/float64(r.Drawn), .5, 1)
		for n, b := range r.Brier {
			near("Brier score", b, want[n], 100)
		}
		if k == 2 && (r.Drawn != 2*(r.Rollouts[0]+r.Tokens/k) || r.Rollouts[0] > r.Positions*2/5) {
			t.Errorf("%d drawn, rollouts %d of %d positions: want those of the quarter where neither diverged", r.Drawn, r.Rollouts, r.Positions)
		}
	}
}
