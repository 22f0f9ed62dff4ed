package eval

// Pairs draws the further patches of a Rollout: two at each hidden state.
type Pairs struct {
	width    int // of a hidden state, D
	make     func(size int) PairSampler
	samplers map[int]PairSampler // by number of hidden states
}

// PairSampler draws two patches at each of a fixed number of hidden states, from the given seed and step. Its other
// arguments and its results are those of Draw.
type PairSampler func(round int, windows []int, hidden []float32, seed, step uint64) ([]int32, error)

// NewPairs returns a Pairs for hidden states of width D. sampler makes a PairSampler for size hidden states.
func NewPairs(width int, sampler func(size int) PairSampler) *Pairs {
	return &Pairs{width: width, make: sampler, samplers: map[int]PairSampler{}}
}

// Draws returns the Draw of a batch, counted from 0. Each of its calls uses a step of its own.
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

// furtherStream makes the draws of further patches independent of the draws of the samples that they continue.
const furtherStream = 0x66757274686572
