package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/lm"
)

// extent says at which positions of a block n-grams are scored, and how far beyond its first patch each reaches. Block
// position i predicts patch i+1; the window i begins there.
type extent struct {
	patch   int // K
	further int // patches behind the first that n-grams of brier.N tokens reach into
	windows int // of a block
}

// extentOf takes blocks of that many tokens.
func extentOf(patch, tokens int, reference bool) extent {
	return extent{patch: patch, further: furtherPatches(patch), windows: tokens/patch - windowless(patch, reference)}
}

func furtherPatches(patch int) int { return (brier.N - 1) / patch }

// windowless returns how many of a block's patches begin no window: the first, which is not predicted, and those with
// too few behind them. Of windows of more than one patch the reference leaves out one that would fit.
func windowless(patch int, reference bool) int {
	n := 1 + furtherPatches(patch)
	if reference && n > 1 {
		n++
	}
	return n
}

// rollout continues pairs of samples behind every window at once, along the first one's path, for as long as the two
// are equal: a round takes one further patch of those that still are, and no more.
type rollout struct {
	extent
	branches *backbone.Branches
	agree    []int // [rows * windows]: leading tokens in which the two samples are equal
	rounds   []int // [further]: windows that took part, summed over batches

	paths      []int32 // [rows * windows, further, K]: the first sample's patches
	live, next []int   // windows whose samples are equal so far: in this round, and in the next
	rows       []backbone.Branch
	ids        []int32
}

func newRollout(e extent, branches *backbone.Branches, rows int) *rollout {
	n := rows * e.windows
	return &rollout{extent: e, branches: branches, agree: make([]int, n), rounds: make([]int, e.further), paths: make([]int32, n*e.further*e.patch)}
}

// begin forgets the windows of the batch before.
func (r *rollout) begin() {
	clear(r.agree)
	r.next = r.next[:0]
}

// add takes what the two samples of a window were given as their patch number round, from 0.
func (r *rollout) add(window, round int, a, b []int32) {
	if a[0] == lm.Diverged && b[0] == lm.Diverged { // one outcome, behind which there is nothing
		r.agree[window] = brier.N
		return
	}
	same := 0
	for same < r.patch && a[same] == b[same] {
		same++
	}
	r.agree[window] += same
	if same == r.patch && round < r.further {
		copy(r.paths[(window*r.further+round)*r.patch:], a)
		r.next = append(r.next, window)
	}
}

// draw gives two patches, tokens [2, size, K], for each of the hidden states [size, D] in a round, of which the first
// len(windows) belong to those windows.
type draw func(round int, windows []int, hidden []float32) ([]int32, error)

// run makes the rounds that follow the samples added in round 0.
func (r *rollout) run(ctx context.Context, d draw) error {
	for round := 1; round <= r.further && len(r.next) > 0; round++ {
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
				r.add(w, round, tokens[i*r.patch:][:r.patch], second[i*r.patch:][:r.patch])
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
func (r *rollout) gather(round int) {
	r.rows, r.ids = r.rows[:0], r.ids[:0]
	for _, w := range r.live {
		r.rows = append(r.rows, backbone.Branch{Context: w / r.windows, Length: w%r.windows + 1})
		r.ids = append(r.ids, r.paths[w*r.further*r.patch:][:round*r.patch]...)
	}
}

// right returns how many leading tokens of a window's target are as drawn: patch after patch, each behind the true ones
// before it. Both are [positions, K] from the window on.
func (e extent) right(drawn, targets []int32) int {
	n := (e.further + 1) * e.patch
	for j := range n {
		if drawn[j] != targets[j] {
			return j
		}
	}
	return n
}

// made returns a copy of the numbers of windows that took part in each round.
func (r *rollout) made() []int { return slices.Clone(r.rounds) }
