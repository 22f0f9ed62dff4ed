package lm

import (
	"errors"
	"slices"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// Pool holds draws of the next patch of one context, and decodes them by need. Each draw runs the head and the part of the
// decoder that is per patch once, when its first token is asked for. The rest of the decoder and the product with the
// vocabulary, which are per token and cost the most, run only for tokens that are asked for. The tokens are those that a
// [Sampler] gives. It implements [Draws].
//
// Its programs are compiled when they are first needed, and kept. After that it does not allocate. It is not safe for
// concurrent use, and not while another program of its engine runs.
type Pool struct {
	// Silent replaces the noise by zeros after it was drawn. Bench measures weights that have learned nothing with it:
	// what a diffusion makes of noise then is out of all bounds.
	Silent bool

	programs  *programs
	await     func() error // makes the draws that are wanted, and decodes the rows
	patch     int          // K
	width     int          // of a token's input to the second half of the decoder, D of the autoencoder
	maxInputs int          // numbers of inputs at most
	sizes     []int        // numbers of draws that are made at once, ascending

	// Of the present patch:
	hidden   []float32 // [D]
	stream   random.Stream
	tokens   []int32   // [made, K]
	known    []int     // how many leading tokens of each draw made are known
	inputs   []float32 // of the second half: of the draws that are kept, then of the latest draws where there is no room [.., K, D]
	kept     int       // draws whose inputs are kept, the first ones
	diverged *head.DivergedError

	// What await has to do:
	wanted int   // draws to make, one of sizes; 0: none
	rows   []row // to decode
}

// row names a token of a draw.
type row struct{ draw, k int }

// maxInputs bounds the memory of the inputs that a pool keeps to decode later, in numbers: 64 MiB. Draws beyond are decoded
// at once.
const maxInputs = 1 << 24

// NewPool makes a pool without draws. It compiles nothing yet.
func (m *Model) NewPool(e *cpu.Engine) *Pool {
	p := newPool(newPrograms(e, m))
	pools := []*Pool{p}
	p.await = func() error { return p.programs.run(pools) }
	return p
}

// newPool makes a pool that shares programs with others. Its await must be set.
func newPool(s *programs) *Pool {
	return &Pool{programs: s, patch: s.model.Config.PatchSize, width: s.model.Autoencoder.Config.HiddenSize, maxInputs: maxInputs, sizes: usualSizes}
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
	p.programs.keep(func(n int) bool { return slices.Contains(sizes, n) })
}

// Begin forgets all draws. Those asked for from now on are of the patch that follows hidden [D], which must not change
// meanwhile, and take their noise from a stream.
func (p *Pool) Begin(hidden []float32, stream random.Stream) {
	p.hidden, p.stream, p.diverged = hidden, stream, nil
	p.tokens, p.known, p.inputs, p.kept = p.tokens[:0], p.known[:0], p.inputs[:0], 0
	p.wanted, p.rows = 0, p.rows[:0]
}

// Work returns what the pool did so far.
func (p *Pool) Work() Work { return p.programs.work }

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
		p.wanted = p.sizes[fitting(p.sizes, last+1-len(p.known))]
		if err := p.await(); err != nil {
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
	for _, i := range draws {
		if p.known[i] <= k {
			p.need(i, end)
		}
	}
	if len(p.rows) > 0 {
		if err := p.await(); err != nil {
			return err
		}
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

// add takes the draws that were wanted: number at, at+1, .. of a drawer's, for this pool. err says which diverged. Where there is
// no room to keep what is decoded later, they are to be decoded now.
func (p *Pool) add(d *drawer, at int, err error) {
	n, first, size := p.wanted, len(p.known), p.patch*p.width
	p.wanted = 0
	p.tokens = slices.Grow(p.tokens, n*p.patch)[:(first+n)*p.patch]
	diverged, some := errors.AsType[*head.DivergedError](err)
	outputs := d.program.Floats(d.inputs)
	var own *head.DivergedError
	for i := range n {
		from := d.place(i, at)
		p.known = append(p.known, 0)
		p.inputs = append(p.inputs, outputs[from*size:][:size]...)
		if some && diverged.Draws[from] {
			if own == nil {
				own = &head.DivergedError{Head: diverged.Head, Steps: diverged.Steps, Limit: diverged.Limit, Draws: make([]bool, n)}
				p.diverged = own
			}
			own.Draws[i] = true
			p.known[first+i] = p.patch
			for k := range p.patch {
				p.tokens[(first+i)*p.patch+k] = Diverged
			}
		}
	}
	if p.kept == first && len(p.inputs) <= p.maxInputs {
		p.kept += n
		return
	}
	for i := first; i < len(p.known); i++ {
		p.need(i, p.patch)
	}
}

// input returns what the second half of the decoder takes for a row.
func (p *Pool) input(r row) []float32 {
	at := r.draw
	if at >= p.kept { // of the latest draws, which are not kept
		at += len(p.inputs)/(p.patch*p.width) - len(p.known)
	}
	return p.inputs[(at*p.patch+r.k)*p.width:][:p.width]
}

// decoded forgets the rows, which were decoded, and the inputs that are not kept.
func (p *Pool) decoded() {
	p.rows = p.rows[:0]
	p.inputs = p.inputs[:p.kept*p.patch*p.width]
}
