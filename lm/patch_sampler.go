package lm

import (
	"cmp"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
)

// PatchSampler chooses a patch from draws. The samplers of package temperature implement it.
type PatchSampler interface {
	// Sample writes the tokens of the chosen patch to dst, [K], and returns how many of the draws it looked at. uniform
	// returns random numbers in [0, 1). The error is that of draws, or says that the budget of draws is used up.
	Sample(dst []int32, draws temperature.Draws, uniform func() float64) (looked int, err error)
}

// NewPatchSampler returns the sampler of patches of that many tokens for some options, and how many draws to make at once, see Pool.DrawAtOnce: the weights are read once for a few draws as for one, so for a large model a
// few cost little more. What cannot be sampled is a *generate.InputError.
func NewPatchSampler(o generate.Options, patch int) (s PatchSampler, atOnce []int, err error) {
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
	return s, atOnce, nil
}

// share returns how many draws of a pool to make at once: all, or equal parts of them.
func share(pool int) int {
	parts := max(1, (pool+maxDrawsAtOnce-1)/maxDrawsAtOnce)
	return (pool + parts - 1) / parts
}
