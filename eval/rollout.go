package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval/brier"
)

// Extent says at which positions of a block n-grams are scored, and how many patches each n-gram needs. Window i begins with
// patch i+1, which position i of the block predicts.
type Extent struct {
	Patch   int // tokens of a patch, K, 1 or more
	Further int // patches after the first that an n-gram of brier.N tokens reaches into, 0 to 3; 0 where K is brier.N or more
	Windows int // n-grams scored in a block, 1 or more for a block of LeastPatches
}

// ExtentOf returns the extent of blocks of that many tokens, with patches of patch tokens. reference is
// Options.ReferenceWindows.
func ExtentOf(patch, tokens int, reference bool) Extent {
	return Extent{Patch: patch, Further: furtherPatches(patch), Windows: tokens/patch - windowless(patch, reference)}
}

// cachedAtOnce is the largest number of cached keys and values (float32) that an evaluation keeps for further patches:
// 512 MB.
const cachedAtOnce = 1 << 27

// Cacheable returns for how many positions at a time an evaluation may keep the keys and values of a backbone.
func Cacheable(c backbone.Config) int {
	return cachedAtOnce / (2 * c.NumHiddenLayers * c.NumKeyValueHeads * c.HeadSize())
}

func furtherPatches(patch int) int { return (brier.N - 1) / patch }

// LeastPatches returns the smallest number of patches that a block needs for one window. Its arguments are those of
// ExtentOf.
func LeastPatches(patch int, reference bool) int { return windowless(patch, reference) + 1 }

// windowless returns how many of a block's patches begin no window: the first, which is not predicted, and those with too
// few patches after them. Where windows have more than one patch, the reference leaves out one window that would fit.
func windowless(patch int, reference bool) int {
	n := 1 + furtherPatches(patch)
	if reference && n > 1 {
		n++
	}
	return n
}

// Diverged is the token that stands for a sample that diverged. It equals no token of a text, so such a sample is never
// right; but two diverged samples are equal.
const Diverged = -1

// Rollout continues the two samples of every window with further patches, as long as the two are equal. Both are continued
// after the first sample's patches. Each round draws one further patch for all windows whose samples are still equal.
type Rollout struct {
	Extent
	Agree []int // [rows * Windows]: leading tokens in which the two samples are equal, 0 to brier.N or more

	branches *backbone.Branches
	rounds   []int // [Further]: windows that took part in each round, summed over batches

	paths      []int32           // [rows * Windows, Further, K]: the first sample's patches
	live, next []int             // windows whose samples are equal so far: in this round, and in the next
	rows       []backbone.Branch // of the live windows
	ids        []int32           // tokens of rows, without the shared context
}

// NewRollout returns a Rollout for batches of that many rows. branches continue from the batch's cached contexts.
func NewRollout(e Extent, branches *backbone.Branches, rows int) *Rollout {
	n := rows * e.Windows
	return &Rollout{Extent: e, branches: branches, Agree: make([]int, n), rounds: make([]int, e.Further), paths: make([]int32, n*e.Further*e.Patch)}
}

// Reset sets the counts of Made to 0.
func (r *Rollout) Reset() { clear(r.rounds) }

// Begin starts a batch.
func (r *Rollout) Begin() {
	clear(r.Agree)
	r.next = r.next[:0]
}

// Add compares the patches a and b [K] that the two samples of a window have in a round. Round 0 is the samples' first patch.
func (r *Rollout) Add(window, round int, a, b []int32) {
	if a[0] == Diverged && b[0] == Diverged { // equal, and nothing can follow
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

// Draw draws two patches for each of the hidden states [size, D] in a round, 1 to Extent.Further. Row i of hidden belongs to
// windows[i]; rows from len(windows) on are unused. It returns tokens [2, size, K], which it may overwrite in the next call.
type Draw func(round int, windows []int, hidden []float32) ([]int32, error)

// Run makes the rounds after round 0, whose samples were added before. It returns ctx's error when ctx ends, or the first
// error of d.
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
			return fmt.Errorf("patch %d after the samples: %w", round, err)
		}
	}
	return nil
}

// gather sets rows and ids to what the live windows continue: the block up to the window, and the patches drawn so far.
func (r *Rollout) gather(round int) {
	r.rows, r.ids = r.rows[:0], r.ids[:0]
	for _, w := range r.live {
		r.rows = append(r.rows, backbone.Branch{Context: w / r.Windows, Length: w%r.Windows + 1})
		r.ids = append(r.ids, r.paths[w*r.Further*r.Patch:][:round*r.Patch]...)
	}
}

// Right returns how many leading tokens of a window's target were drawn right, where each patch was drawn after the true
// patches before it. drawn and targets are [positions, K], from the window on.
func (e Extent) Right(drawn, targets []int32) int {
	n := (e.Further + 1) * e.Patch
	for j := range n {
		if drawn[j] != targets[j] {
			return j
		}
	}
	return n
}

// Made returns the number of windows that took part in each round after round 0, [Further], since the last Reset.
func (r *Rollout) Made() []int { return slices.Clone(r.rounds) }
