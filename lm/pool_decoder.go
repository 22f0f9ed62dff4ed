package lm

import (
	"time"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// drawer makes n draws at a time: the head, and the part of the decoder that runs once a patch.
type drawer struct {
	sampler head.Sampler
	noise   []float32 // [n, NoiseSize]
	program *cpu.Program
	latents *nn.Tensor // state [n, Z], bound to what the head gives
	inputs  *nn.Tensor // output [n, K*D], of the part that runs once a token
	bytes   float64    // of weights that a run reads
}

func (p *Pool) newDrawer(n int) *drawer {
	m := p.model
	d := &drawer{sampler: m.Head.NewSampler(p.engine, 1, n), noise: make([]float32, n*m.Head.NoiseSize())}
	g := nn.NewGraph()
	d.latents = g.State("latents", n, m.Config.LatentSize)
	d.inputs = m.Autoencoder.DecodePatches(g, d.latents)
	g.Output(d.inputs)
	d.program = p.engine.Compile(g, cpu.Inference)
	for _, part := range append(m.Head.Drawing(1, n), flops.Part{Name: "decoder", Graph: g, Runs: 1}) {
		d.bytes += part.Weights().Bytes
	}
	return d
}

// draw makes latent vectors [n, Z] with the noise of draws number first and following of a stream.
func (d *drawer) draw(hidden []float32, stream random.Stream, first int, silent bool) ([]float32, error) {
	d.sampler.FillNoise(d.noise, stream, first)
	if silent {
		clear(d.noise)
	}
	return d.sampler.Sample(hidden, d.noise)
}

// decode runs the part of the decoder that runs once a patch: [n, K*D].
func (d *drawer) decode(latents []float32) ([]float32, error) {
	d.program.Bind(d.latents, latents)
	if err := d.program.Forward(); err != nil {
		return nil, err
	}
	return d.program.Floats(d.inputs), nil
}

// rowSizes are the numbers of rows that are decoded in one run, ascending.
var rowSizes = [...]int{1, 2, 4, 8, 16, 32, 64, 128, 256}

// rowsOfReading is how many rows a processor multiplies with the vocabulary in about the time in which it reads the
// vocabulary's table: so many more rows are better than another run.
const rowsOfReading = 16

// rowDecoder chooses the likeliest tokens of n rows: the part of the decoder that runs once a token.
type rowDecoder struct {
	program *cpu.Program
	in      *nn.Tensor // input [n, D]
	ids     *nn.Tensor // output [n]
	bytes   float64    // of weights that a run reads
}

// decoder returns the decoder for the first or all of n rows.
func (p *Pool) decoder(n int) *rowDecoder {
	at := fitting(rowSizes[:], n)
	if at > 0 && rowSizes[at]-n > rowsOfReading {
		at-- // and the other rows in another run
	}
	if p.decoders[at] == nil {
		g := nn.NewGraph()
		d := &rowDecoder{in: g.Floats("inputs", rowSizes[at], p.width)}
		d.ids = p.model.Autoencoder.TokensOf(g, d.in)
		g.Output(d.ids)
		d.program, d.bytes = p.engine.Compile(g, cpu.Inference), flops.Part{Graph: g, Runs: 1}.Weights().Bytes
		p.decoders[at] = d
	}
	return p.decoders[at]
}

// decode decodes the rows that are needed. inputs are those of draws from number first on.
func (p *Pool) decode(inputs []float32, first int) error {
	p.work.Tokens += len(p.rows)
	for rows := p.rows; len(rows) > 0; {
		if err := p.stopped(); err != nil {
			return err
		}
		d := p.decoder(len(rows))
		start := time.Now()
		in := d.program.Floats(d.in)
		n := min(d.in.Dim(0), len(rows))
		for i, r := range rows[:n] {
			copy(in[i*p.width:(i+1)*p.width], inputs[((r.draw-first)*p.patch+r.k)*p.width:])
		}
		if err := d.program.Forward(); err != nil { // of rows beyond n too, which hold what was there before
			return err
		}
		ids := d.program.Ints(d.ids)
		for i, r := range rows[:n] {
			p.tokens[r.draw*p.patch+r.k] = ids[i]
		}
		p.work.Bytes += d.bytes
		p.work.PerToken += time.Since(start)
		rows = rows[n:]
	}
	return nil
}
