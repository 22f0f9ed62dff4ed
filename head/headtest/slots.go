package headtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
)

// Sizes of the measurement in sampleSlots.
const (
	slots       = 8 // samples at each position, as calm eval draws
	slotPatches = 9 // patches of the block, of which all but the first are predicted
)

// sampleSlots: a measurement gets tokens of its own from every sample of every position, and the expected scores do not
// depend on the number of samples.
func sampleSlots(s *subject) error {
	var wrong collected
	h, ps := s.build(.3)
	if has := s.score(s.engine, h, ps, slots).loss.Samples != nil; has != s.kind.ScoresSamples {
		return fmt.Errorf("the loss has samples: %t, and the kind says %t", has, s.kind.ScoresSamples)
	}
	tokens, err := s.slotTokens()
	if err != nil {
		return err
	}
	size := len(tokens) / slots
	k := size / (slotPatches - 1)
	for i := range slots {
		slot := tokens[i*size:][:size]
		constant := true
		for at := k; at < size; at += k {
			constant = constant && slices.Equal(slot[at:at+k], slot[:k])
		}
		if constant {
			wrong.add("sample slot %d has the same tokens at every position: %v", i, slot[:k])
			continue
		}
		for j := range i {
			if h.NoiseSize() > 0 && slices.Equal(slot, tokens[j*size:][:size]) {
				wrong.add("sample slot %d has the tokens of slot %d at every position", i, j)
				break
			}
		}
	}
	return errors.Join(wrong.err(), s.scores())
}

// model makes a tiny language model with the head. The initial constants of the head's parameters get noise of the
// given standard deviation.
func (s *subject) model(perturbation float32) (*lm.Model, error) {
	c, err := config.Set(testkit.TinyLM(), []string{"model_type=" + s.kind.Name, fmt.Sprintf("num_samples=%d", s.numSamples())})
	if err != nil {
		return nil, err
	}
	ae := testkit.TinyAutoencoder()
	c.InitializerRange, ae.InitializerRange = .3, .3
	if err := c.ValidateWith(ae); err != nil {
		return nil, err
	}
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	own := nn.NewParams() // the subject need not be the registered kind
	m.HeadKind, m.Head = s.kind, s.kind.New(c.Options, c.HiddenSize, c.LatentSize, c.InitializerRange, own)
	own.Initialize(3)
	testkit.Perturb(own, 5, perturbation)
	return m, nil
}

// slotTokens returns the tokens of a block's samples, [slots, positions, K]: those of the loss if it scores samples, else
// those of a sampler. An untrained head whose draws diverge gets smaller weights and noise.
func (s *subject) slotTokens() ([]int32, error) {
	for scale := float32(1); scale > 1e-9; scale /= 100 {
		m, err := s.model(.3 * scale)
		if err != nil {
			return nil, err
		}
		k := m.Config.PatchSize
		ids := make([]int32, slotPatches*k)
		for i := range ids {
			ids[i] = int32(i * 37 % 200)
		}
		ev := m.Evaluation(1, len(ids), slots)
		p := s.engine.Compile(ev.Graph, cpu.Inference)
		if err := errors.Join(ev.Fill(p, ids, nil), p.Forward()); err != nil {
			return nil, err
		}
		if ev.Tokens != nil {
			return p.Ints(ev.Tokens), nil
		}
		sampler := m.NewSampler(s.engine, slotPatches-1, slots)
		noise := make([]float32, slots*(slotPatches-1)*sampler.NoiseSize())
		sampler.FillNoise(noise, stream, 0)
		for i := range noise {
			noise[i] *= scale
		}
		tokens, err := sampler.DrawFrom(p.Floats(ev.Hidden), noise)
		if _, diverged := errors.AsType[*head.DivergedError](err); !diverged {
			return tokens, err
		}
	}
	return nil, errors.New("draws diverge however small weights and noise are")
}

// scores: Brier-1 has the same expectation for every number of samples. The difference is compared with the widths of the
// intervals.
func (s *subject) scores() error {
	m, err := s.model(.3)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 1200)
	for i := range text {
		text[i] = 'a' + byte(min(rng.IntN(9), rng.IntN(9)))
	}
	c, err := corpus.Tokenize(context.Background(), corpus.Texts(slices.Values([]string{string(text)})), tokenizer.Bytes())
	if err != nil {
		return err
	}
	k := m.Config.PatchSize
	blocks, err := c.All().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: k, BlockSize: 6 * k})
	if err != nil {
		return err
	}
	var wrong collected
	var most lm.Measurement
	for _, samples := range []int{100, slots, 2} {
		ev, err := lm.NewEvaluator(s.engine, m, blocks, eval.Options{Samples: samples})
		if err != nil {
			return err
		}
		r, err := ev.Run(context.Background())
		if err != nil {
			return err
		}
		if r.Samples != samples || r.Drawn != samples*r.Positions {
			wrong.add("a measurement with %d samples has %d samples, %d drawn at %d positions", samples, r.Samples, r.Drawn, r.Positions)
		}
		if samples == 100 {
			most = r
			continue
		}
		width := r.BrierInterval[0].Hi - r.BrierInterval[0].Lo
		if d := r.Brier[0] - most.Brier[0]; d > 1.5*width+1e-9 || -d > 1.5*width+1e-9 { // 1.5 widths are 6 standard deviations
			wrong.add("Brier-1 is %.2f with %d samples and %.2f with 100: it depends on the number of samples", r.Brier[0], samples, most.Brier[0])
		}
	}
	return wrong.err()
}
