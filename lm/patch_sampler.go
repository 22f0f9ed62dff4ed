package lm

import (
	"cmp"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
)

// Draws are draws of one patch of K tokens, numbered from 0 without end. [Pool] implements it.
type Draws interface {
	// Tokens writes token number k, 0 to K-1, of each of the draws to dst, which has the same length. The numbers of the
	// draws are distinct and ascending. The token of a draw that diverged is Diverged.
	Tokens(dst []int32, draws []int, k int) error
}

// PatchSampler chooses a patch from draws (docs/spec.md, section 5).
type PatchSampler struct {
	sampler
}

// sampler is a sampler of package temperature.
type sampler interface {
	Sample(dst []int32, draws temperature.Draws, uniform func() float64) (looked int, err error)
	Shares() []float64
}

// Sample writes a patch to dst [K], and returns how many draws it looked at. Its own decisions come from uniform, which
// returns numbers in [0, 1). Errors of draws are returned as they are.
func (s *PatchSampler) Sample(dst []int32, draws Draws, uniform func() float64) (looked int, err error) {
	return s.sampler.Sample(dst, draws, uniform)
}

// Shares returns, for each token of the patch sampled last, the share of the pool's draws that have it, among those that have the
// tokens before it and did not diverge. It is empty for samplers without a pool. It changes with the next patch.
func (s *PatchSampler) Shares() []float64 { return s.sampler.Shares() }

// NewPatchSampler returns the sampler for options o and patches of patch tokens, and how many draws to make at
// once, see Pool.DrawAtOnce: the weights are read once for a few draws as for one, so for a large model a few cost little
// more. What cannot be sampled is a *generate.InputError.
func NewPatchSampler(o generate.Options, patch int) (_ *PatchSampler, atOnce []int, err error) {
	var s sampler
	switch T := o.Limit(); {
	case T == 1: // the first draw that did not diverge
		atOnce = []int{1}
		s, err = temperature.NewExact(T, patch, temperature.DefaultBudget)
	case o.Sampler == generate.Prefix, o.Sampler == "":
		pool := cmp.Or(o.Draws, temperature.DefaultPrefixPool)
		atOnce = []int{share(pool)}
		s, err = temperature.NewPrefix(T, patch, pool)
	case o.Sampler == generate.Batch:
		pool := cmp.Or(o.Draws, temperature.DefaultPool)
		atOnce = []int{share(pool)}
		s, err = temperature.NewBatch(T, patch, pool)
	default:
		atOnce = usualSizes[1:]
		s, err = temperature.NewExact(T, patch, cmp.Or(o.Draws, temperature.DefaultBudget))
	}
	if err != nil {
		return nil, nil, &generate.InputError{Err: err}
	}
	return &PatchSampler{s}, atOnce, nil
}

// share returns how many draws of a pool to make at once: all, or equal parts of them.
func share(pool int) int {
	parts := max(1, (pool+maxDrawsAtOnce-1)/maxDrawsAtOnce)
	return (pool + parts - 1) / parts
}
