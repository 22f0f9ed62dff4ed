package lm

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// Pool holds draws of the next patch of one context, and decodes them by need. Each draw runs the head and the part of the
// decoder that is per patch once, when its first token is asked for. The rest of the decoder and the product with the
// vocabulary, which are per token and cost the most, run only for tokens that are asked for. The tokens are bit for bit
// those that a [Sampler] gives. It implements [Draws].
//
// Its programs are compiled when they are first needed, and kept. After that it does not allocate. It is not safe for
// concurrent use, and not while another program of its engine runs.
type Pool struct {
	// Silent replaces the noise by zeros after it was drawn. Bench measures weights that have learned nothing with it:
	// what a diffusion makes of noise then is out of all bounds.
	Silent bool

	engine    *cpu.Engine
	model     *Model
	patch     int          // K
	width     int          // of a token's input to the second half of the decoder, D of the autoencoder
	maxInputs int          // numbers of inputs at most
	stopped   func() error // asked before each run of a program; its error ends Tokens

	sizes    []int // numbers of draws that are made at once, ascending
	drawers  map[int]*drawer
	decoders [len(rowSizes)]*rowDecoder

	// Of the present patch:
	hidden   []float32 // [D]
	stream   random.Stream
	tokens   []int32   // [made, K]
	known    []int     // how many leading tokens of each draw made are known
	inputs   []float32 // of the second half, of the first draws [.., K, D]
	rows     []row     // to decode
	diverged *head.DivergedError

	work Work
}

// row names a token of a draw.
type row struct{ draw, k int }

// Work counts what a pool did since it was made, without compiling its programs.
type Work struct {
	Draws  int     // number of latent vectors drawn
	Tokens int     // number of tokens decoded from them
	Bytes  float64 // bytes of weights read

	Head     time.Duration // time to draw noise and latent vectors
	PerPatch time.Duration // time in the part of the decoder that runs once a draw
	PerToken time.Duration // time in the part of the decoder that runs once a token, with the product with the vocabulary
}

// maxInputs bounds the memory of the inputs that a pool keeps to decode later, in numbers: 64 MiB. Draws beyond are decoded
// at once.
const maxInputs = 1 << 24

// NewPool makes a pool without draws. It compiles nothing yet.
func (m *Model) NewPool(e *cpu.Engine) *Pool {
	return &Pool{engine: e, model: m, patch: m.Config.PatchSize, width: m.Autoencoder.Config.HiddenSize, maxInputs: maxInputs,
		stopped: func() error { return nil }, sizes: usualSizes, drawers: map[int]*drawer{}}
}

// usualSizes are numbers of draws at once whose programs are kept, whatever sizes come later.
var usualSizes = []int{1, 4, 16, 64, maxDrawsAtOnce}

// fitting returns the index of the smallest of some ascending sizes that is n or more, or of the largest.
func fitting(sizes []int, n int) int {
	at, _ := slices.BinarySearch(sizes, n)
	return min(at, len(sizes)-1)
}

// maxDrawsAtOnce bounds the draws made at once, and with them the memory they take.
const maxDrawsAtOnce = 256

// DrawAtOnce sets the numbers of draws that are made at once, ascending. For draws that are asked for the smallest that
// suffices is taken, else the largest. Programs of earlier, unusual numbers are dropped.
func (p *Pool) DrawAtOnce(sizes ...int) {
	p.sizes = sizes
	maps.DeleteFunc(p.drawers, func(n int, _ *drawer) bool {
		return !slices.Contains(sizes, n) && !slices.Contains(usualSizes, n)
	})
}

// Begin forgets all draws. Those asked for from now on are of the patch that follows hidden [D], which must not change
// meanwhile, and take their noise from a stream.
func (p *Pool) Begin(hidden []float32, stream random.Stream) {
	p.hidden, p.stream, p.diverged = hidden, stream, nil
	p.tokens, p.known, p.inputs = p.tokens[:0], p.known[:0], p.inputs[:0]
}

// Work returns what the pool did so far.
func (p *Pool) Work() Work { return p.work }

// Diverged returns the error of the latest draws of the patch that diverged, nil if none did.
func (p *Pool) Diverged() *head.DivergedError { return p.diverged }

// Tokens implements [Draws]: it writes token number k of each of the draws, which are distinct and ascending, to dst.
//
// Where few rows would be left to decode, it decodes the later tokens of these draws too: the vocabulary's table is read
// once instead of once for each k. A single draw that is asked for is most often the one that becomes the text.
func (p *Pool) Tokens(dst []int32, draws []int, k int) error {
	if len(draws) == 0 {
		return nil
	}
	for last := draws[len(draws)-1]; last >= len(p.known); {
		if err := p.draw(last + 1 - len(p.known)); err != nil {
			return err
		}
	}
	missing := 0
	for _, i := range draws {
		if p.known[i] <= k {
			missing++
		}
	}
	end := k + 1
	if missing == 1 || missing*(p.patch-k) <= rowsOfReading {
		end = p.patch
	}
	p.rows = p.rows[:0]
	for _, i := range draws {
		if p.known[i] <= k {
			p.need(i, end)
		}
	}
	if err := p.decode(p.inputs, 0); err != nil {
		return err
	}
	for i, draw := range draws {
		dst[i] = p.tokens[draw*p.patch+k]
	}
	return nil
}

// need adds the tokens of a draw that are not known, up to end, to the rows to decode.
func (p *Pool) need(draw, end int) {
	for k := p.known[draw]; k < end; k++ {
		p.rows = append(p.rows, row{draw, k})
	}
	p.known[draw] = end
}

// draw makes more draws, at least one; n is how many are wanted.
func (p *Pool) draw(n int) error {
	if err := p.stopped(); err != nil {
		return err
	}
	n = p.sizes[fitting(p.sizes, n)]
	d := p.drawers[n]
	if d == nil {
		d = p.newDrawer(n)
		p.drawers[n] = d
	}
	first, start := len(p.known), time.Now()
	latents, err := d.draw(p.hidden, p.stream, first, p.Silent)
	diverged, some := errors.AsType[*head.DivergedError](err)
	if err != nil && !some {
		return err
	}
	drawn := time.Now()
	inputs, err := d.decode(latents)
	if err != nil {
		return err
	}
	p.work.Draws += n
	p.work.Head += drawn.Sub(start)
	p.work.PerPatch += time.Since(drawn)
	p.work.Bytes += d.bytes
	p.tokens = slices.Grow(p.tokens, n*p.patch)[:(first+n)*p.patch]
	for i := range n {
		p.known = append(p.known, 0)
		if some && diverged.Draws[i] {
			p.known[first+i] = p.patch
			for k := range p.patch {
				p.tokens[(first+i)*p.patch+k] = Diverged
			}
		}
	}
	if some {
		p.diverged = diverged
	}
	return p.keep(inputs, first)
}

// keep keeps the inputs of draws from number first on, if there is room for them, and else decodes these draws.
func (p *Pool) keep(inputs []float32, first int) error {
	if kept := len(p.inputs) / (p.patch * p.width); kept == first && len(p.inputs)+len(inputs) <= p.maxInputs {
		p.inputs = append(p.inputs, inputs...)
		return nil
	}
	p.rows = p.rows[:0]
	for i := first; i < len(p.known); i++ {
		p.need(i, p.patch)
	}
	return p.decode(inputs, first)
}
