package autoencoder

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Coder turns any number of patches into latent vectors and back. It compiles a program for each of a few numbers of
// patches when it first needs it, and keeps it. It is not safe for concurrent use: one program of an engine runs at a
// time.
type Coder struct {
	model    *Model
	engine   *cpu.Engine
	encoders [len(coderSizes)]*coderProgram
	decoders [len(coderSizes)]*coderProgram
}

// coderSizes are the numbers of patches that one run takes, largest first.
var coderSizes = [...]int{64, 8, 1}

// coderProgram is an encoder or a decoder of a fixed number of patches.
type coderProgram struct {
	program *cpu.Program
	in, out *nn.Tensor
}

// NewCoder makes a coder that computes on e.
func (m *Model) NewCoder(e *cpu.Engine) *Coder { return &Coder{model: m, engine: e} }

// Encode appends to dst the means of the posteriors of whole patches: ids [P, K] give [P, Z]. A part of a patch is an
// error, and so is an id outside the vocabulary.
func (c *Coder) Encode(dst []float32, ids []int32) ([]float32, error) {
	k, z := c.model.Config.PatchSize, c.model.Config.LatentSize
	if len(ids)%k != 0 {
		return dst, fmt.Errorf("encode %d ids: want whole patches of %d", len(ids), k)
	}
	err := pieces(len(ids)/k, func(size, first, n int) error {
		p := c.encoder(size)
		copy(p.program.Ints(p.in), ids[first*k:][:n*k])
		if err := p.program.Forward(); err != nil {
			return err
		}
		dst = append(dst, p.program.Floats(p.out)[:n*z]...)
		return nil
	})
	return dst, err
}

// Decode appends to dst the likeliest tokens of latent vectors: [P, Z] give [P, K]. A part of a vector is an error.
func (c *Coder) Decode(dst []int32, latents []float32) ([]int32, error) {
	k, z := c.model.Config.PatchSize, c.model.Config.LatentSize
	if len(latents)%z != 0 {
		return dst, fmt.Errorf("decode %d numbers: want whole latent vectors of %d", len(latents), z)
	}
	err := pieces(len(latents)/z, func(size, first, n int) error {
		p := c.decoder(size)
		copy(p.program.Floats(p.in), latents[first*z:][:n*z])
		if err := p.program.Forward(); err != nil {
			return err
		}
		dst = append(dst, p.program.Ints(p.out)[:n*k]...)
		return nil
	})
	return dst, err
}

// pieces cuts n patches into runs and calls do for each: coderSizes[size] = count patches, from patch first on.
func pieces(n int, do func(size, first, count int) error) error {
	first := 0
	for size, count := range coderSizes {
		for ; n-first >= count; first += count {
			if err := do(size, first, count); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Coder) encoder(size int) *coderProgram {
	if c.encoders[size] == nil {
		g := nn.NewGraph()
		in := g.Ints("ids", coderSizes[size], c.model.Config.PatchSize)
		c.encoders[size] = c.compile(g, in, c.model.Encode(g, in).Mean)
	}
	return c.encoders[size]
}

func (c *Coder) decoder(size int) *coderProgram {
	if c.decoders[size] == nil {
		g := nn.NewGraph()
		in := g.Floats("latents", coderSizes[size], c.model.Config.LatentSize)
		c.decoders[size] = c.compile(g, in, c.model.Tokens(g, in))
	}
	return c.decoders[size]
}

func (c *Coder) compile(g *nn.Graph, in, out *nn.Tensor) *coderProgram {
	g.Output(out)
	return &coderProgram{c.engine.Compile(g, cpu.Inference), in, out}
}
