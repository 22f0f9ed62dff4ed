package eval

// pairs draws the further patches of a rollout, two at each hidden state, from a stream of their own.
type pairs struct {
	width    int // of a hidden state, D
	make     func(size int) pairSampler
	samplers map[int]pairSampler // by hidden states
}

// pairSampler draws for a fixed number of hidden states what a draw gives, of the seed and the step.
type pairSampler func(round int, windows []int, hidden []float32, seed, step uint64) ([]int32, error)

func newPairs(width int, sampler func(size int) pairSampler) *pairs {
	return &pairs{width: width, make: sampler, samplers: map[int]pairSampler{}}
}

// draws returns the draws of a batch: further patches that are made together share a step, and no two others do.
func (p *pairs) draws(seed uint64, batch int) draw {
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
