package temperature

import "fmt"

// Patches are the draws of one position as whole patches of K tokens: for callers that decode all tokens of a draw at
// once. It implements [Draws]. It is not safe for concurrent use.
type Patches struct {
	K   int
	IDs []int32 // those made so far, flat [N, K]

	// Make returns draws number first, first+1, ..., flat [m, K]. It returns at least one; want is how many will do for
	// now, and it may return fewer or more (networks like fixed sizes). The slice may be reused by the next call. Where
	// it is nil, IDs are all there is.
	Make func(first, want int) ([]int32, error)
}

// Tokens implements [Draws]. It panics if it is asked for a draw that is not in IDs and cannot be made.
func (p *Patches) Tokens(dst []int32, draws []int, k int) error {
	for i, draw := range draws {
		for made := len(p.IDs) / p.K; draw >= made; made = len(p.IDs) / p.K {
			if p.Make == nil {
				panic(fmt.Sprintf("temperature: draw %d of %d", draw, made))
			}
			ids, err := p.Make(made, 1+draws[len(draws)-1]-made)
			if err != nil {
				return err
			}
			if len(ids) == 0 || len(ids)%p.K != 0 {
				panic(fmt.Sprintf("temperature: draws gave %d ids, want patches of %d", len(ids), p.K))
			}
			p.IDs = append(p.IDs, ids...)
		}
		dst[i] = p.IDs[draw*p.K+k]
	}
	return nil
}
