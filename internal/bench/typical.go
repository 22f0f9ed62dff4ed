package bench

import (
	"math"

	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/random"
)

// typical are draws of random weights for measurements below temperature 1. A sampler's work depends on how many draws are
// equal. Those of random weights are all equal; those of a trained model are not. So typical computes what the sampler asks for,
// but returns other tokens, which are equal as often as a trained model's: two draws with the same tokens before place k have
// the same token there with probability agreement.
type typical struct {
	lm.Draws
	step uint64
}

// agreement lies within what the models of `calm quickstart` have on held-out text: .36 (energy head) to .40 (flow) at
// the first place, .27 to .39 at later ones.
const agreement = 3. / 8

// ratio is that of the geometric distribution with this agreement, (1-r)/(1+r).
const ratio = (1 - agreement) / (1 + agreement)

// typicalStream numbers the stream of the tokens.
var typicalStream = random.ID("bench.typical")

// Tokens implements lm.Draws: token v with probability (1-ratio) ratio^v.
func (t *typical) Tokens(dst []int32, draws []int, k int) error {
	if err := t.Draws.Tokens(dst, draws, k); err != nil {
		return err
	}
	stream := random.Stream{Seed: t.step, Draw: typicalStream, Step: uint64(k)}
	for i, draw := range draws {
		dst[i] = int32(math.Log1p(-stream.Float64(uint64(draw))) / math.Log(ratio))
	}
	return nil
}
