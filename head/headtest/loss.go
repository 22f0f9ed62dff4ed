package headtest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// parameters have the kind's prefix, and are the same each time a head is built.
func parameters(s *subject) error {
	var wrong collected
	_, first := s.build(0)
	_, again := s.build(0)
	if len(first.All()) == 0 {
		wrong.add("the head has no parameters")
	}
	for i, p := range first.All() {
		if !strings.HasPrefix(p.Name, s.kind.Prefix) {
			wrong.add("parameter %s does not begin with the Prefix %s", p.Name, s.kind.Prefix)
		}
		if q := again.All()[i]; q.Name != p.Name || same(q.Data, p.Data) != "" {
			wrong.add("parameter %s differs when the head is built again", p.Name)
		}
	}
	return wrong.err()
}

// metrics are those that the kind documents, the loss first, and finite.
func metrics(s *subject) error {
	var wrong collected
	h, ps := s.build(.3)
	x := s.score(s.engine, h, ps, s.numSamples())
	if err := x.program.Forward(); err != nil {
		return err
	}
	for i, m := range x.loss.Metrics {
		if i >= len(s.kind.Metrics) || s.kind.Metrics[i].Name != m.Name {
			wrong.add("metric %d of the loss is %s, which Kind.Metrics does not document there", i, m.Name)
		}
		if v := float64(x.program.Scalar(m.Value)); math.IsNaN(v) || math.IsInf(v, 0) {
			wrong.add("metric %s is %v", m.Name, v)
		}
	}
	for _, m := range s.kind.Metrics[min(len(x.loss.Metrics), len(s.kind.Metrics)):] {
		wrong.add("the loss lacks the metric %s", m.Name)
	}
	if len(x.loss.Metrics) > 0 && x.loss.Metrics[0].Value != x.loss.Loss {
		wrong.add("the first metric, %s, is not the loss", x.loss.Metrics[0].Name)
	}
	return wrong.err()
}

// gradients: those of parameters and hidden states are the derivatives of the loss. Where the kind stops part of the
// gradient, a small step against it must reduce the loss.
func gradients(s *subject) error {
	h, ps := s.build(.3)
	x := s.score(s.engine, h, ps, s.numSamples())
	if !s.kind.StopsGradient {
		return testkit.Differences(x.program, ps)
	}
	if err := x.program.Step(false); err != nil {
		return err
	}
	before := float64(x.program.Scalar(x.loss.Loss))
	square := 0.
	for _, p := range ps.Trainable() {
		for _, g := range x.program.Grad(p) {
			square += float64(g) * float64(g)
		}
	}
	if square == 0 {
		return fmt.Errorf("the loss has no gradient")
	}
	length := 1e-3 * math.Abs(before) / square
	for _, p := range ps.Trainable() {
		for i, g := range x.program.Grad(p) {
			p.Data[i] -= float32(length) * g
		}
	}
	if err := x.program.Forward(); err != nil {
		return err
	}
	if after := float64(x.program.Scalar(x.loss.Loss)); !(after < before) {
		return fmt.Errorf("a small step against the gradient changes the loss from %v to %v", before, after)
	}
	return nil
}

// weights: a position of weight 0 changes neither the loss nor a gradient; without any weight the loss is finite.
func weights(s *subject) error {
	const without = 1
	var wrong collected
	h, ps := s.build(.3)
	x := s.score(s.engine, h, ps, s.numSamples())
	loss, err := x.step()
	if err != nil {
		return err
	}
	kept := map[*nn.Param][]float32{}
	for _, p := range ps.Trainable() {
		kept[p] = slices.Clone(x.program.Grad(p))
	}
	for i := range hiddenSize {
		x.hidden.Data[without*hiddenSize+i] += 1
	}
	for i := range latentSize {
		x.program.Floats(x.mean)[without*latentSize+i] -= 1
	}
	changed, err := x.step()
	if err != nil {
		return err
	}
	if changed != loss {
		wrong.add("the loss is %v, and %v after a change at a position of weight 0", loss, changed)
	}
	for _, p := range ps.Trainable() {
		if diff := same(x.program.Grad(p), kept[p]); diff != "" {
			wrong.add("the gradient of %s changes with a position of weight 0: %s", p.Name, diff)
		}
	}
	clear(x.program.Floats(x.weight))
	none, err := x.step()
	if err != nil {
		return err
	}
	if math.IsNaN(none) || math.IsInf(none, 0) {
		wrong.add("without any weight the loss is %v", none)
	}
	return wrong.err()
}

// samples: the loss has them if the kind says so, in the number asked for, each with its own noise, and with the
// distribution of a sampler's.
func samples(s *subject) error {
	const n = 400
	h, ps := s.build(.3)
	x := s.score(s.engine, h, ps, n)
	switch {
	case !s.kind.ScoresSamples && x.loss.Samples != nil:
		return fmt.Errorf("the loss has Samples, but the kind does not say that it scores samples")
	case !s.kind.ScoresSamples:
		return nil
	case x.loss.Samples == nil:
		return fmt.Errorf("the kind scores samples, but the loss has no Samples")
	case x.loss.Samples.Size() != n*positions*latentSize:
		return fmt.Errorf("the loss has Samples %v of %d samples, want [%d, %d, %d]", x.loss.Samples, n, n, positions, latentSize)
	}
	if err := x.program.Forward(); err != nil {
		return err
	}
	var wrong collected
	scored := x.program.Floats(x.loss.Samples)
	drawn, err := s.draw(h, 1, positions, n, x.hidden.Data)
	if err != nil {
		return err
	}
	if h.NoiseSize() > 0 {
		for i := 1; i < n; i++ {
			const size = positions * latentSize
			if slices.Equal(scored[:size], scored[i*size:][:size]) {
				wrong.add("sample %d of the loss equals sample 0 at every position", i)
			}
		}
	}
	for i := range positions * latentSize {
		a, b := momentsOf(scored, i, n), momentsOf(drawn, i, n)
		if limit := 6*math.Sqrt((a.variance+b.variance)/n) + 1e-5; math.Abs(a.mean-b.mean) > limit {
			wrong.add("position %d, dimension %d: the loss's samples have mean %.4g, the sampler's %.4g", i/latentSize, i%latentSize, a.mean, b.mean)
		}
	}
	return wrong.err()
}

// moments are those of n numbers.
type moments struct{ mean, variance float64 }

// momentsOf returns those of number i of every sample of [n, P, Z].
func momentsOf(values []float32, i, n int) (m moments) {
	size := len(values) / n
	for k := range n {
		m.mean += float64(values[k*size+i]) / float64(n)
	}
	for k := range n {
		d := float64(values[k*size+i]) - m.mean
		m.variance += d * d / float64(n-1)
	}
	return m
}

// resume: training from saved weights and moments, by another program and number of threads, gives what training
// without a stop gives, bit for bit.
func resume(s *subject) error {
	const steps, stop = 4, 2
	whole := s.learner(2)
	defer whole.engine.Close()
	first := s.learner(1)
	defer first.engine.Close()
	second := s.learner(3)
	defer second.engine.Close()
	if err := whole.train(0, steps); err != nil {
		return err
	}
	if err := first.train(0, stop); err != nil {
		return err
	}
	saved := first.state()
	for name, values := range second.state() {
		copy(values, saved[name])
	}
	if err := second.train(stop, steps); err != nil {
		return err
	}
	var wrong collected
	got := second.state()
	for name, want := range whole.state() {
		if diff := same(got[name], want); diff != "" {
			wrong.add("%s after a stop: %s", name, diff)
		}
	}
	return wrong.err()
}

// learner is a head in training.
type learner struct {
	*scored
	engine    *cpu.Engine
	optimizer *cpu.AdamW
}

func (s *subject) learner(threads int) *learner {
	l := &learner{engine: cpu.New(cpu.Options{Threads: threads})}
	h, ps := s.build(.3)
	l.scored = s.score(l.engine, h, ps, s.numSamples())
	l.optimizer = cpu.NewAdamW(l.program)
	return l
}

// train makes the steps with the numbers from, .., to-1.
func (l *learner) train(from, to int) error {
	for i := from; i < to; i++ {
		l.program.SetDraws(5, uint64(i))
		if _, err := l.step(); err != nil {
			return err
		}
		l.optimizer.Step(cpu.AdamWConfig{Beta1: .9, Beta2: .95, Epsilon: 1e-8, WeightDecay: .1}, 1e-2, i+1, 1)
	}
	return nil
}

// state returns what a checkpoint has, by name: the live slices.
func (l *learner) state() map[string][]float32 {
	all := map[string][]float32{}
	for _, p := range l.params.All() {
		all[p.Name] = p.Data
	}
	l.optimizer.Moments(func(p *nn.Param, m, v []float32) {
		all["first moment of "+p.Name], all["second moment of "+p.Name] = m, v
	})
	return all
}
