package generate

import "github.com/calm-go/calm/nn/random"

// Streams of random numbers of a text, apart from those of training under the same seed. Their step is the patch.
var (
	noiseStream    = random.ID("generate.noise")
	decisionStream = random.ID("generate.decisions")
)

// Noise returns the stream of the noise that a network turns into patch number step of a text, from 0.
func Noise(seed uint64, step int) random.Stream {
	return random.Stream{Seed: seed, Draw: noiseStream, Step: uint64(step)}
}

// Decisions returns the uniform numbers in [0, 1) of patch number step of a text, from 0, that are not a network's noise:
// each call gives the next.
func Decisions(seed uint64, step int) func() float64 {
	stream, i := random.Stream{Seed: seed, Draw: decisionStream, Step: uint64(step)}, uint64(0)
	return func() float64 {
		i++
		return stream.Float64(i - 1)
	}
}
