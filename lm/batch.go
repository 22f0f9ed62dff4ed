package lm

import (
	"fmt"

	"github.com/calm-go/calm/nn"
)

// Ignored is the label of a token that is no target.
const Ignored = -100

// Batch is what a graph over whole rows reads: the first L-1 patches of each row are inputs, the last L-1 are targets.
type Batch struct {
	Inputs  *nn.Tensor   // input [B, L-1, K] int32
	Targets *nn.Tensor   // input [P, K] int32, position after position, row after row; 0 where ignored
	Weight  *nn.Tensor   // input [P]: 1, or 0 where the target is ignored
	Labels  []*nn.Tensor // inputs, K of [P] int32: the targets' tokens, for auxiliary heads; none without them
}

func (m *Model) batch(g *nn.Graph, rows, tokens int) Batch {
	k := m.Config.PatchSize
	if tokens%k != 0 || tokens < 2*k {
		panic(fmt.Sprintf("lm: rows of %d tokens are not two or more patches of %d", tokens, k))
	}
	l := tokens/k - 1
	b := Batch{
		Inputs:  g.Ints("inputs", rows, l, k),
		Targets: g.Ints("targets", rows*l, k),
		Weight:  g.Floats("weight", rows*l),
	}
	for i := range m.tokenHeads {
		b.Labels = append(b.Labels, g.Ints(fmt.Sprintf("labels.%d", i), rows*l))
	}
	return b
}

// Fill writes rows of tokens, ids [B, T], into the graph's inputs. The labels [B, T] are the ids, or -100 over whole
// patches, which then are inputs but no targets; nil labels mean the ids. It fails where a patch is ignored in part;
// the reference would shift its targets there. It does not allocate. Ids are checked by the run.
func (b Batch) Fill(v nn.Values, ids, labels []int32) error {
	if labels == nil {
		labels = ids
	}
	rows, l, k := b.Inputs.Dim(0), b.Inputs.Dim(1), b.Inputs.Dim(2)
	tokens := (l + 1) * k
	if len(ids) != rows*tokens || len(labels) != len(ids) {
		return fmt.Errorf("a batch of %d ids and %d labels: want %d rows of %d tokens", len(ids), len(labels), rows, tokens)
	}
	inputs, targets, weight := v.Ints(b.Inputs), v.Ints(b.Targets), v.Floats(b.Weight)
	for row := range rows {
		at := row * tokens
		copy(inputs[row*l*k:(row+1)*l*k], ids[at:])
		for i := range l {
			p, patch := row*l+i, labels[at+(i+1)*k:][:k]
			ignored, err := ignores(patch)
			if err != nil {
				return fmt.Errorf("row %d, patch %d: %w", row, i+1, err)
			}
			target := targets[p*k:][:k]
			copy(target, patch)
			weight[p] = 1
			if ignored {
				clear(target)
				weight[p] = 0
			}
			for j, t := range b.Labels {
				v.Ints(t)[p] = patch[j]
			}
		}
	}
	return nil
}

// IgnoreLabels switches the auxiliary loss off for the next run: it overwrites the labels of the auxiliary heads, which
// Fill wrote, with Ignored. Their losses are then 0, have no gradient and take no time.
func (b Batch) IgnoreLabels(v nn.Values) {
	for _, t := range b.Labels {
		labels := v.Ints(t)
		for i := range labels {
			labels[i] = Ignored
		}
	}
}

// ignores reports whether all labels of a patch are ignored.
func ignores(patch []int32) (bool, error) {
	n := 0
	for _, label := range patch {
		if label == Ignored {
			n++
		}
	}
	if n != 0 && n != len(patch) {
		return false, fmt.Errorf("%d of %d labels are %d: want all or none, since a patch is predicted as a whole", n, len(patch), Ignored)
	}
	return n != 0, nil
}
