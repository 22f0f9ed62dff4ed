package eval_test

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn/cpu"
)

// TestFlow: the evaluator's loss and scores against those that the test makes of the graph's hidden states.
func TestFlow(t *testing.T) {
	const size, samples = 24, 3
	e, m, b := engine(t, 2), testkit.WithHead(head.FlowType), blocks(t, corpus.Language, 4, size)
	n, per := int(b.Len()), size/4-1
	ids := read(t, b)
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
	want := eval.LMResult{Result: acc.Result(9), HeadLoss: eval.HeadLoss{FlowLoss: float64(p.Scalar(ev.Head.Loss))},
		Samples: samples, BlockSize: size, Tokens: n * per * 4}
	got, err := eval.LM(t.Context(), e, m, b, eval.Options{Seed: 9, Samples: samples, Rows: n})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, untimed); diff != "" || want.Brier[0] == 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f := got.Figures(); len(f) != 1 || f[0].Name != "flow_loss" || f[0].Value != got.FlowLoss {
		t.Errorf("figures %v", f)
	}
}

// TestFlowInPieces: with so many samples that few positions are drawn at a time, each still has its own.
func TestFlowInPieces(t *testing.T) {
	e, m, b := engine(t, 2), testkit.WithHead(head.FlowType), blocks(t, corpus.Language, 4, 24)
	var brier1 []float64
	for _, samples := range []int{1500, 2500} { // 3 and 2 of the 10 positions at a time
		r, err := eval.LM(t.Context(), e, m, b, eval.Options{Samples: samples, MaxBlocks: 2})
		if err != nil {
			t.Fatal(err)
		}
		brier1 = append(brier1, r.Brier[0])
	}
	// The spread of a mean over 1500 samples is below a tenth of a percent.
	if math.Abs(brier1[0]-brier1[1]) > 1 || brier1[0] == 0 {
		t.Errorf("Brier-1 %v", brier1)
	}
}

// TestDiverged: where the sampler diverges there is an error, and the loss all the same.
func TestDiverged(t *testing.T) {
	e, m, b := engine(t, 2), testkit.WithHead(head.DiffusionType), blocks(t, corpus.Language, 4, 24)
	r, err := eval.LM(t.Context(), e, m, b, eval.Options{})
	if _, ok := errors.AsType[*head.DivergedError](err); !ok {
		t.Fatalf("error %v", err)
	}
	if !(r.DiffusionLoss > 0) || math.Abs(r.DiffusionMSE+r.DiffusionVB-r.DiffusionLoss) > 1e-6*r.DiffusionLoss || r.Measurable || r.Positions != int(b.Len())*5 {
		t.Errorf("%+v", r)
	}
}
