package eval

// Pairs draws the further patches of a Rollout, two at each hidden state, from a stream of their own.
type Pairs struct {
	width    int // of a hidden state, D
	make     func(size int) PairSampler
	samplers map[int]PairSampler // by hidden states
}

// PairSampler draws for a fixed number of hidden states what a Draw gives, of the seed and the step.
type PairSampler func(round int, windows []int, hidden []float32, seed, step uint64) ([]int32, error)

// NewPairs draws at hidden states of that width D. sampler makes one for that many of them.
func NewPairs(width int, sampler func(size int) PairSampler) *Pairs {
	return &Pairs{width: width, make: sampler, samplers: map[int]PairSampler{}}
}

// Draws returns the draws of a batch, from 0: further patches that are made together share a step, and no two others do.
func (p *Pairs) Draws(seed uint64, batch int) Draw {
	step := uint64(batch) << 32
	return func(round int, windows []int, hidden []float32) ([]int32, error) {
		step++
		size := len(hidden) / p.width
		if p.samplers[size] == nil {
			p.samplers[size] = p.make(size)
		}
		return p.samplers[size](round, windows, hidden, furtherStream^seed, step)
	}
}

// furtherStream sets the draws of further patches apart from those of the samples they continue.
const furtherStream = 0x66757274686572
