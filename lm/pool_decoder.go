package lm

import (
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// drawer makes n draws at a time for each of R pools: the head, and the part of the decoder that runs once a patch.
type drawer struct {
	drawerSize
	sampler head.Sampler
	hidden  []float32 // [R, D]
	noise   []float32 // [n, R, NoiseSize]
	own     []float32 // of one pool [n, NoiseSize]
	program *cpu.Program
	latents *nn.Tensor // state [n*R, Z], bound to what the head gives
	inputs  *nn.Tensor // output [n*R, K*D], of the part that runs once a token
	bytes   float64    // of weights that a run reads
}

// newDrawer compiles a drawer.
func (s *programs) newDrawer(size drawerSize) *drawer {
	m, n, R := s.model, size.draws, size.pools
	e := s.engine.ForStreams(R)
	d := &drawer{drawerSize: size, sampler: m.Head.NewSampler(e, R, n), hidden: make([]float32, R*m.Config.HiddenSize),
		noise: make([]float32, n*R*m.Head.NoiseSize()), own: make([]float32, n*m.Head.NoiseSize())}
	g := nn.NewGraph()
	d.latents = g.State("latents", n*R, m.Config.LatentSize)
	d.inputs = m.Autoencoder.DecodePatches(g, d.latents)
	g.Output(d.inputs)
	d.program = e.Compile(g, cpu.Inference)
	for _, part := range append(m.Head.Drawing(R, n), flops.Part{Name: "decoder", Graph: g, Runs: 1}) {
		d.bytes += part.Weights().Bytes
	}
	return d
}

// place returns which of the outputs is draw i of a pool.
func (d *drawer) place(i, pool int) int { return i*d.pools + pool }

// draw makes latent vectors [n, R, Z] for at most R pools. For others it draws what is not used.
func (d *drawer) draw(pools []*Pool) ([]float32, error) {
	width, size := len(d.hidden)/d.pools, len(d.own)/d.draws
	for at, p := range pools {
		copy(d.hidden[at*width:(at+1)*width], p.hidden)
		d.sampler.FillNoise(d.own, p.stream, len(p.known))
		if p.Silent {
			clear(d.own)
		}
		for i := range d.draws {
			copy(d.noise[d.place(i, at)*size:][:size], d.own[i*size:])
		}
	}
	return d.sampler.Sample(d.hidden, d.noise)
}

// decode runs the part of the decoder that runs once a patch.
func (d *drawer) decode(latents []float32) error {
	d.program.Bind(d.latents, latents)
	return d.program.Forward()
}

// rowsOfReading is how many rows a processor multiplies with the vocabulary in about the time in which it reads the
// vocabulary's table: so many more rows are better than another run. It is also how many rows of a pool are few: products of
// few rows have another order of sums than those of many, and the rows of a pool have one order, whatever other pools need.
const rowsOfReading = 16

// Numbers of rows that are decoded in one run, ascending.
var (
	thinSizes = []int{1, 2, 4, 8, 16, 32, 64}
	wideSizes = []int{32, 64, 128, 256}
)

// Kinds of rows, by how many a pool needs at once.
const (
	thin = iota // at most rowsOfReading
	wide
)

// kindOfRows returns the kind of the n rows that a pool needs.
func kindOfRows(n int) int {
	if n <= rowsOfReading {
		return thin
	}
	return wide
}

// rowDecoder chooses the likeliest tokens of n rows: the part of the decoder that runs once a token.
type rowDecoder struct {
	program *cpu.Program
	in      *nn.Tensor // input [n, D]
	ids     *nn.Tensor // output [n]
	bytes   float64    // of weights that a run reads
}

// decoder returns the decoder for the first or all of n rows of a kind.
func (s *programs) decoder(kind, n int) *rowDecoder {
	sizes, spare := thinSizes, rowsOfReading
	if kind == wide {
		sizes, spare = wideSizes, wideSizes[0]
	}
	at := fitting(sizes, n)
	if at > 0 && sizes[at]-n > spare {
		at-- // and the other rows in another run
	}
	if s.decoders[kind][at] == nil {
		rows, e := sizes[at], s.engine
		if kind == thin {
			e = e.ForStreams(max(1, rows/rowsOfReading))
		}
		g := nn.NewGraph()
		d := &rowDecoder{in: g.Floats("inputs", rows, s.model.Autoencoder.Config.HiddenSize)}
		d.ids = s.model.Autoencoder.TokensOf(g, d.in)
		g.Output(d.ids)
		d.program, d.bytes = e.Compile(g, cpu.Inference), flops.Part{Graph: g, Runs: 1}.Weights().Bytes
		s.decoders[kind][at] = d
	}
	return s.decoders[kind][at]
}
