package headtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/random"
)

// stream is the noise of most checks.
var stream = random.Stream{Seed: 3, Draw: 4, Step: 5}

// draw makes n draws for each of that many rows of hidden states, with noise that is scaled.
func (s *subject) draw(h head.Head, scale float32, rows, n int, hidden []float32) ([]float32, error) {
	sampler := h.NewSampler(s.engine, rows, n)
	noise := make([]float32, n*rows*h.NoiseSize())
	sampler.FillNoise(noise, stream, 0)
	for i := range noise {
		noise[i] *= scale
	}
	latents, err := sampler.Sample(hidden, noise)
	return slices.Clone(latents), err
}

// drawable builds a head whose draws do not diverge. An untrained head, such as a diffusion head, may need small
// weights and small noise for that; the scale of both is returned.
func (s *subject) drawable(n int) (h head.Head, ps *nn.Params, scale float32, err error) {
	hidden := normal(1, rows*hiddenSize)
	for scale = 1; scale > 1e-9; scale /= 100 {
		h, ps = s.build(.3 * scale)
		if _, err = s.draw(h, scale, rows, n, hidden); err == nil {
			return h, ps, scale, nil
		}
		if _, ok := errors.AsType[*head.DivergedError](err); !ok {
			return nil, nil, 0, err
		}
	}
	return nil, nil, 0, fmt.Errorf("draws diverge however small weights and noise are: %w", err)
}

// noise: FillNoise writes all of it, and a draw's noise depends only on the stream and on the draw's number, not on the rows
// and draws of the sampler.
func noise(s *subject) error {
	const n = 7
	var wrong collected
	h, _ := s.build(.3)
	size := h.NoiseSize()
	if size < 0 {
		return fmt.Errorf("NoiseSize is %d", size)
	}
	one, many := h.NewSampler(s.engine, 1, n), h.NewSampler(s.engine, rows, 2)
	fillFrom := func(sampler head.Sampler, draws, first int, st random.Stream) []float32 {
		dst := slices.Repeat([]float32{float32(math.NaN())}, draws*size)
		sampler.FillNoise(dst, st, first)
		return dst
	}
	fill := func(draws, first int, st random.Stream) []float32 { return fillFrom(one, draws, first, st) }
	for _, first := range []int{0, 3, 70} {
		whole := fill(n, first, stream)
		if slices.ContainsFunc(whole, func(v float32) bool { return v != v }) {
			wrong.add("noise of draws %d to %d is not filled", first, first+n-1)
			continue
		}
		for _, cut := range []int{1, 2, 5} {
			pieces := append(fill(cut, first, stream), fill(n-cut, first+cut, stream)...)
			if diff := same(pieces, whole); diff != "" {
				wrong.add("the noise of draws from number %d depends on what is filled at once, %d and %d or %d: %s", first, cut, n-cut, n, diff)
			}
		}
		if diff := same(fillFrom(many, n, first, stream), whole); diff != "" {
			wrong.add("the noise of draws from number %d depends on the rows of the sampler, %d or 1: %s", first, rows, diff)
		}
	}
	other := stream
	other.Step++
	if size > 0 && slices.Equal(fill(n, 0, stream), fill(n, 0, other)) {
		wrong.add("the noise does not depend on the stream")
	}
	return wrong.err()
}

// draws: every one is written, and depends on its row's hidden state, its noise and the parameters, not on other draws.
func draws(s *subject) error {
	const n = 4
	var wrong collected
	h, ps, scale, err := s.drawable(n)
	if err != nil {
		return err
	}
	size := h.NoiseSize()
	hidden, noise := normal(1, rows*hiddenSize), make([]float32, n*rows*size)
	many, one := h.NewSampler(s.engine, rows, n), h.NewSampler(s.engine, 1, 1)
	many.FillNoise(noise, stream, 0)
	for i := range noise {
		noise[i] *= scale
	}
	latents, err := many.Sample(hidden, noise)
	if err != nil {
		return err
	}
	if len(latents) != n*rows*latentSize {
		return fmt.Errorf("%d draws of %d rows give %d numbers, want %d", n, rows, len(latents), n*rows*latentSize)
	}
	latents = slices.Clone(latents)
	for i := range n * rows {
		got, err := one.Sample(hidden[i%rows*hiddenSize:][:hiddenSize], noise[i*size:(i+1)*size])
		if err != nil {
			return err
		}
		if diff := near(latents[i*latentSize:][:latentSize], got); diff != "" {
			wrong.add("draw %d of row %d changes with the other draws and rows: %s", i/rows, i%rows, diff)
		}
		for k := range i {
			if size > 0 && slices.Equal(got, latents[k*latentSize:][:latentSize]) {
				wrong.add("draws %d and %d are equal", k, i)
			}
		}
	}
	again, err := many.Sample(hidden, noise)
	if err != nil {
		return err
	}
	if diff := same(again, latents); diff != "" {
		wrong.add("the same draws again differ: %s", diff)
	}
	s.dependence(many, ps, hidden, noise, latents, &wrong)
	return wrong.err()
}

// dependence: draws change with their row's hidden state and with the parameters. latents are what many draws from hidden
// and noise.
func (s *subject) dependence(many head.Sampler, ps *nn.Params, hidden, noise, latents []float32, wrong *collected) {
	others := normal(9, rows*hiddenSize)
	copy(others, hidden[:hiddenSize])
	if changed, err := many.Sample(others, noise); err == nil {
		n := len(latents) / (rows * latentSize)
		for i := range n * rows {
			equal := slices.Equal(changed[i*latentSize:][:latentSize], latents[i*latentSize:][:latentSize])
			if equal != (i%rows == 0) {
				wrong.add("with other hidden states in all rows but 0, draw %d of row %d is as before: %t", i/rows, i%rows, equal)
			}
		}
	}
	for _, p := range ps.All() {
		for i := range p.Data {
			p.Data[i] *= 1.01
		}
	}
	if other, err := many.Sample(hidden, noise); err == nil && slices.Equal(other, latents) {
		wrong.add("a sampler does not read parameters that have changed since it was made")
	}
}

// streams: a sampler for several streams gives each row bit for bit what a sampler of that row alone gives.
func streams(s *subject) error {
	var wrong collected
	for _, n := range []int{1, 8, 17} { // few and many rows of a stream
		h, _, scale, err := s.drawable(n)
		if err != nil {
			return err
		}
		z, size := latentSize, h.NoiseSize()
		hidden, noise := normal(1, rows*hiddenSize), make([]float32, n*rows*size)
		many, one := h.NewSampler(s.engine.ForStreams(rows), rows, n), h.NewSampler(s.engine, 1, n)
		own := make([]float32, n*size)
		fill := func(row int) {
			one.FillNoise(own, random.Stream{Seed: uint64(row)}, 5)
			for i := range own {
				own[i] *= scale
			}
		}
		for r := range rows {
			fill(r)
			for i := range n {
				copy(noise[(i*rows+r)*size:][:size], own[i*size:])
			}
		}
		latents, err := many.Sample(hidden, noise)
		if err != nil {
			return err
		}
		for r := range rows {
			fill(r)
			want, err := one.Sample(hidden[r*hiddenSize:][:hiddenSize], own)
			if err != nil {
				return err
			}
			for i := range n {
				if diff := same(latents[(i*rows+r)*z:][:z], want[i*z:][:z]); diff != "" {
					wrong.add("draw %d of %d of stream %d differs from that of the stream alone: %s: compile with the engine that NewSampler gets", i, n, r, diff)
				}
			}
		}
	}
	return wrong.err()
}

// diverging: draws that are NaN are reported and set to zero; the others are kept.
func diverging(s *subject) error {
	const n, bad = 2, 1 // bad: a row
	h, _, scale, err := s.drawable(n)
	if err != nil {
		return err
	}
	hidden := normal(1, rows*hiddenSize)
	want, err := s.draw(h, scale, rows, n, hidden)
	if err != nil {
		return err
	}
	hidden[bad*hiddenSize] = float32(math.NaN())
	got, err := s.draw(h, scale, rows, n, hidden)
	diverged, ok := errors.AsType[*head.DivergedError](err)
	if !ok || len(diverged.Draws) != n*rows || diverged.Head != s.kind.Name {
		return fmt.Errorf("a hidden state that is NaN: error %v, want a *head.DivergedError of %d draws of the %s head: end Sample with head.Settle", err, n*rows, s.kind.Name)
	}
	var wrong collected
	for i := range n * rows {
		if diverged.Draws[i] != (i%rows == bad) {
			wrong.add("row %d is NaN, but draw %d of row %d diverged: %t", bad, i/rows, i%rows, diverged.Draws[i])
		}
		if i%rows == bad {
			clear(want[i*latentSize:][:latentSize])
		}
	}
	if diff := same(got, want); diff != "" {
		wrong.add("draws that did not diverge: %s", diff)
	}
	return wrong.err()
}

// allocations: drawing makes none.
func allocations(s *subject) error {
	h, _, scale, err := s.drawable(2)
	if err != nil {
		return err
	}
	sampler, hidden, noise := h.NewSampler(s.engine, rows, 2), normal(1, rows*hiddenSize), make([]float32, 2*rows*h.NoiseSize())
	allocated := testing.AllocsPerRun(5, func() {
		sampler.FillNoise(noise, stream, 0)
		for i := range noise {
			noise[i] *= scale
		}
		_, err = sampler.Sample(hidden, noise)
	})
	if err == nil && allocated > 0 {
		err = fmt.Errorf("a draw allocates %v times", allocated)
	}
	return err
}

// cost: the parts of Drawing read every parameter that draws depend on, and no parameters but the head's. Each of their
// matrices is multiplied at least once a row. More draws and more steps cost more.
func cost(s *subject) error {
	var wrong collected
	h, ps, scale, err := s.drawable(1)
	if err != nil {
		return err
	}
	used := s.partsOf(h, ps, &wrong)
	if h.Steps() < 1 {
		wrong.add("Steps is %d, want 1 or more", h.Steps())
	}
	one, more := flopsOf(h, 1, 1), flopsOf(h, 1, 3)
	products := 0.
	for _, p := range ps.All() {
		if used[p] && p.Matrix() {
			products += 2 * float64(p.Size())
		}
	}
	if one < products {
		wrong.add("a draw takes %g FLOPs, less than the %g of one product with each of its matrices", one, products)
	}
	if more < one || flopsOf(h, 2, 1) < 1.5*one {
		wrong.add("FLOPs: 1 draw of 1 row %g, 3 draws %g, 2 rows %g", one, more, flopsOf(h, 2, 1))
	}
	if s.kind.TakesSteps() {
		at := func(steps int) float64 {
			c, err := config.Set(head.DefaultOf(s.kind.Name), []string{fmt.Sprintf("%s=%d", head.SamplingSteps, steps)})
			if err != nil {
				wrong.add("%w", err)
			}
			h := s.kind.New(c.Options, hiddenSize, latentSize, .3, nn.NewParams())
			if h.Steps() != steps {
				wrong.add("with %s=%d Steps is %d", head.SamplingSteps, steps, h.Steps())
			}
			return flopsOf(h, 1, 64) // what all draws of a row share counts little
		}
		if few, many := at(4), at(12); many < 2*few {
			wrong.add("4 steps take %g FLOPs, 12 take %g", few, many)
		}
	}
	// Draws do not depend on parameters that no part reads.
	hidden := normal(1, rows*hiddenSize)
	want, err := s.draw(h, scale, rows, 1, hidden)
	if err != nil {
		return err
	}
	for _, p := range ps.All() {
		if used[p] {
			continue
		}
		for i := range p.Data {
			p.Data[i] = float32(math.NaN())
		}
		if got, err := s.draw(h, scale, rows, 1, hidden); err != nil || same(got, want) != "" {
			wrong.add("draws depend on %s, which no part of Drawing reads", p.Name)
		}
	}
	return wrong.err()
}

// partsOf returns the parameters that the parts of a draw read.
func (s *subject) partsOf(h head.Head, ps *nn.Params, wrong *collected) map[*nn.Param]bool {
	used := map[*nn.Param]bool{}
	for _, part := range h.Drawing(rows, 2) {
		if part.Name != "head" || !(part.Runs > 0) {
			wrong.add("a part of Drawing is named %q and runs %g times, want the name head, and once or more", part.Name, part.Runs)
		}
		for _, t := range part.Graph.Tensors() {
			if p := t.Param(); t.Role() == nn.Parameter {
				used[p] = true
				if ps.Get(p.Name) != p {
					wrong.add("a part of Drawing reads %s, which is no parameter of the head", p.Name)
				}
			}
		}
	}
	return used
}

// flopsOf returns the FLOPs of that many draws for each of that many rows.
func flopsOf(h head.Head, rows, n int) (sum float64) {
	for _, part := range h.Drawing(rows, n) {
		sum += part.Count().Total()
	}
	return sum
}
