package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval/brier"
)

// Extent says at which positions of a block n-grams are scored, and how far beyond its first patch each reaches. Block
// position i predicts patch i+1; window i begins there.
type Extent struct {
	Patch   int // K, tokens a patch
	Further int // patches behind the first that n-grams of brier.N tokens reach into; 0 where K is brier.N or more
	Windows int // of a block
}

// ExtentOf returns the extent of blocks of that many tokens. With reference, windows are as Options.ReferenceWindows says.
func ExtentOf(patch, tokens int, reference bool) Extent {
	return Extent{Patch: patch, Further: furtherPatches(patch), Windows: tokens/patch - windowless(patch, reference)}
}

// cachedAtOnce bounds the keys and values that an evaluation keeps for further patches, in numbers: 512 MB.
const cachedAtOnce = 1 << 27

// Cacheable returns for how many positions at a time an evaluation keeps the keys and values of such a backbone.
func Cacheable(c backbone.Config) int {
	return cachedAtOnce / (2 * c.NumHiddenLayers * c.NumKeyValueHeads * c.HeadSize())
}

func furtherPatches(patch int) int { return (brier.N - 1) / patch }

// LeastPatches returns how many patches a block has at least for one window.
func LeastPatches(patch int, reference bool) int { return windowless(patch, reference) + 1 }

// windowless returns how many of a block's patches begin no window: the first, which is not predicted, and those with
// too few behind them. Of windows of more than one patch the reference leaves out one that would fit.
func windowless(patch int, reference bool) int {
	n := 1 + furtherPatches(patch)
	if reference && n > 1 {
		n++
	}
	return n
}

// Diverged is the token of a sample that diverged: it is never in the text, and equal to that of another that did.
const Diverged = -1

// Rollout continues pairs of samples behind every window at once, along the first one's path, for as long as the two
// are equal: a round takes one further patch of those that still are, and no more.
type Rollout struct {
	Extent
	Agree []int // [rows * Windows]: leading tokens in which the two samples are equal, 0 to brier.N or more

	branches *backbone.Branches
	rounds   []int // [Further]: windows that took part, summed over batches

	paths      []int32 // [rows * Windows, Further, K]: the first sample's patches
	live, next []int   // windows whose samples are equal so far: in this round, and in the next
	rows       []backbone.Branch
	ids        []int32
}

// NewRollout continues samples in batches of that many rows, behind the contexts that the branches share.
func NewRollout(e Extent, branches *backbone.Branches, rows int) *Rollout {
	n := rows * e.Windows
	return &Rollout{Extent: e, branches: branches, Agree: make([]int, n), rounds: make([]int, e.Further), paths: make([]int32, n*e.Further*e.Patch)}
}

// Reset forgets how many windows took part.
func (r *Rollout) Reset() { clear(r.rounds) }

// Begin forgets the windows of the batch before.
func (r *Rollout) Begin() {
	clear(r.Agree)
	r.next = r.next[:0]
}

// Add takes what the two samples of a window were given as their patch number round, from 0: a, b [K].
func (r *Rollout) Add(window, round int, a, b []int32) {
	if a[0] == Diverged && b[0] == Diverged { // one outcome, behind which there is nothing
		r.Agree[window] = brier.N
		return
	}
	same := 0
	for same < r.Patch && a[same] == b[same] {
		same++
	}
	r.Agree[window] += same
	if same == r.Patch && round < r.Further {
		copy(r.paths[(window*r.Further+round)*r.Patch:], a)
		r.next = append(r.next, window)
	}
}

// Draw gives two patches, tokens [2, size, K], for each of the hidden states [size, D] in a round, of which the first
// len(windows) belong to those windows.
type Draw func(round int, windows []int, hidden []float32) ([]int32, error)

// Run makes the rounds that follow the samples added in round 0.
func (r *Rollout) Run(ctx context.Context, d Draw) error {
	for round := 1; round <= r.Further && len(r.next) > 0; round++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.live, r.next = r.next, r.live[:0]
		r.rounds[round-1] += len(r.live)
		r.gather(round)
		err := r.branches.Continue(r.rows, r.ids, func(first, n int, hidden []float32) error {
			windows := r.live[first : first+n]
			tokens, err := d(round, windows, hidden)
			if err != nil {
				return err
			}
			second := tokens[len(tokens)/2:]
			for i, w := range windows {
				r.Add(w, round, tokens[i*r.Patch:][:r.Patch], second[i*r.Patch:][:r.Patch])
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("patch %d behind the samples: %w", round, err)
		}
	}
	return nil
}

// gather writes down what the live windows continue: the block up to the window, and the patches drawn so far.
func (r *Rollout) gather(round int) {
	r.rows, r.ids = r.rows[:0], r.ids[:0]
	for _, w := range r.live {
		r.rows = append(r.rows, backbone.Branch{Context: w / r.Windows, Length: w%r.Windows + 1})
		r.ids = append(r.ids, r.paths[w*r.Further*r.Patch:][:round*r.Patch]...)
	}
}

// Right returns how many leading tokens of a window's target are as drawn: patch after patch, each behind the true ones
// before it. Both are [positions, K] from the window on.
func (e Extent) Right(drawn, targets []int32) int {
	n := (e.Further + 1) * e.Patch
	for j := range n {
		if drawn[j] != targets[j] {
			return j
		}
	}
	return n
}

// Made returns how many windows took part in each round, [Further], since the last Reset.
func (r *Rollout) Made() []int { return slices.Clone(r.rounds) }
