package lm

import (
	"errors"
	"fmt"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// NewSession makes empty contexts of patches for that many rows, with memory for capacity patches each. Its Append
// takes ids [B, n, K]; its Hidden predicts the next patches, see Sampler.
func (m *Model) NewSession(e *cpu.Engine, rows, capacity int) *backbone.Session {
	return m.Backbone.NewSession(e, m.Patches, rows, m.Config.PatchSize, capacity)
}

// NewSlots makes empty contexts of patches of different lengths, of at most capacity patches each. A patch is K ids; Hidden
// predicts the next patch.
func (m *Model) NewSlots(e *cpu.Engine, slots, capacity int) *backbone.Slots {
	return m.Backbone.NewSlots(e, m.Patches, slots, m.Config.PatchSize, capacity)
}

// NewBranches makes branches of the contexts of an evaluation, whose keys and values are in v after a run: the graph's Caches
// must be outputs. Ids are [branches, n, K].
func (m *Model) NewBranches(e *cpu.Engine, ev *Evaluation, v nn.Values) *backbone.Branches {
	return m.Backbone.NewBranches(e, m.Patches, m.Config.PatchSize, ev.Inputs.Dim(0), ev.Inputs.Dim(1), backbone.MemoryOf(v, ev.Caches))
}

// Diverged is the token of a draw that diverged, see Sampler.Draw.
const Diverged = eval.Diverged

// Sampler draws patches given hidden states: head, frozen decoder, likeliest tokens. It does not allocate. It is not
// safe for concurrent use, and not while another program of its engine runs.
type Sampler struct {
	rows, draws, width int // width D
	noiseSize          int
	head               head.Sampler
	noise              []float32 // [n, R, NoiseSize]

	decoder *cpu.Program
	latents *nn.Tensor // state [n, R, Z], bound to what the head gives
	tokens  *nn.Tensor // [n, R, K]
}

// NewSampler makes a sampler of that many draws for each of that many rows at a time.
func (m *Model) NewSampler(e *cpu.Engine, rows, draws int) *Sampler {
	s := &Sampler{rows: rows, draws: draws, width: m.Config.HiddenSize, noiseSize: m.Head.NoiseSize(), head: m.Head.NewSampler(e, rows, draws)}
	s.noise = make([]float32, draws*rows*s.NoiseSize())
	g := nn.NewGraph()
	s.latents = g.State("latents", draws, rows, m.Config.LatentSize)
	s.tokens = g.Reshape(m.Autoencoder.Tokens(g, s.latents), draws, rows, m.Config.PatchSize)
	g.Output(s.tokens)
	s.decoder = e.Compile(g, cpu.Inference)
	return s
}

// Draws returns the number of draws n a row.
func (s *Sampler) Draws() int { return s.draws }

// NoiseSize returns how many random numbers a draw takes for a row, see head.Head.
func (s *Sampler) NoiseSize() int { return s.noiseSize }

// FillNoise writes the noise of draws number first and following of a stream to dst [.., R, NoiseSize], as many as it
// holds. A draw's noise does not depend on how many are filled at once.
func (s *Sampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.head.FillNoise(dst, stream, first*s.rows)
}

// Draw gives n patches for each row of hidden [R, D]: tokens [n, R, K], in memory that changes with the next call. The
// noise follows from seed and step alone; another step gives independent draws. Where draws of the head diverge, the error
// is a *head.DivergedError, the tokens of these draws are Diverged, and those of the others stand.
func (s *Sampler) Draw(hidden []float32, seed, step uint64) ([]int32, error) {
	return s.DrawStream(hidden, random.Stream{Seed: seed, Draw: noiseStream, Step: step}, 0)
}

// noiseStream numbers the stream of Draw.
var noiseStream = random.ID("head.noise")

// DrawStream is Draw with the noise of draws number first and following of a stream.
func (s *Sampler) DrawStream(hidden []float32, stream random.Stream, first int) ([]int32, error) {
	s.FillNoise(s.noise, stream, first)
	return s.DrawFrom(hidden, s.noise)
}

// DrawFrom is Draw with the noise given: [n, R, NoiseSize].
func (s *Sampler) DrawFrom(hidden, noise []float32) ([]int32, error) {
	if len(noise) != len(s.noise) {
		return nil, fmt.Errorf("noise of %d numbers: want %d, of shape [%d %d %d]", len(noise), len(s.noise), s.draws, s.rows, s.NoiseSize())
	}
	if len(hidden) != s.rows*s.width {
		return nil, fmt.Errorf("hidden states of %d numbers: want %d, of shape [%d %d]", len(hidden), s.rows*s.width, s.rows, s.width)
	}
	latents, err := s.head.Sample(hidden, noise)
	diverged, some := errors.AsType[*head.DivergedError](err)
	if err != nil && !some {
		return nil, err
	}
	s.decoder.Bind(s.latents, latents)
	if err := s.decoder.Forward(); err != nil {
		return nil, err
	}
	tokens := s.decoder.Ints(s.tokens)
	if some {
		k := len(tokens) / len(diverged.Draws)
		for i := range tokens {
			if diverged.Draws[i/k] {
				tokens[i] = Diverged
			}
		}
	}
	return tokens, err
}
