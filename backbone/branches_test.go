package backbone_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// contexts holds contexts [rows, positions] that a small model has read in one run. A position is two tokens.
type contexts struct {
	model     *backbone.Model
	embed     backbone.Embed
	positions int
	ids       []int32
	branches  *backbone.Branches
}

const vocab, width = 11, 2

func readContexts(t *testing.T, e *cpu.Engine, rows, positions int) *contexts {
	t.Helper()
	c := backbone.Default(2, 24, 40, 4)
	c.NumKeyValueHeads, c.InitializerRange = 2, .3
	ps := nn.NewParams()
	table := ps.Matrix("table", nn.Gaussian(1), vocab, c.HiddenSize/width)
	x := &contexts{model: backbone.New(c, ps, "model."), positions: positions}
	ps.Initialize(1)
	x.embed = func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
		return g.Reshape(g.Embedding(g.Param(table), ids, -1), ids.Dim(0), ids.Dim(1), c.HiddenSize)
	}
	x.ids = randomIDs(1, rows*positions*width)
	g := nn.NewGraph()
	in := g.Ints("ids", rows, positions, width)
	hidden, caches := x.model.ForwardCaches(g, x.embed(g, in))
	g.Output(hidden)
	backbone.Outputs(g, caches)
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(in), x.ids)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	x.branches = x.model.NewBranches(e, x.embed, width, rows, positions, backbone.MemoryOf(p, caches))
	return x
}

func randomIDs(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

// TestBranches: a branch gives the hidden state of a run over its prefix and its own positions, for any number of
// branches, of any contexts, in any order.
func TestBranches(t *testing.T) {
	const rows, positions = 3, 70
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		x := readContexts(t, e, rows, positions)
		session := x.model.NewSession(e, x.embed, 1, width, positions+3)
		for _, n := range []int{1, 7, 8, 9, 43, 170} {
			further := 1 + n%3
			rng := rand.New(rand.NewPCG(uint64(n), 2))
			list := make([]backbone.Branch, n)
			for i := range list {
				list[i] = backbone.Branch{Context: i * rows / n, Length: rng.IntN(positions + 1)}
			}
			if n == 43 {
				rng.Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
			own, d, seen := randomIDs(uint64(n), n*further*width), x.model.Config.HiddenSize, 0
			err := x.branches.Continue(list, own, func(first, some int, hidden []float32) error {
				if first != seen || len(hidden) < some*d {
					t.Fatalf("branches from %d after %d, %d numbers for %d", first, seen, len(hidden), some)
				}
				for i := range some {
					b := list[first+i]
					session.Truncate(0)
					prefix := x.ids[b.Context*positions*width:][:b.Length*width]
					read := append(append([]int32{}, prefix...), own[(first+i)*further*width:][:further*width]...)
					if err := session.Append(read); err != nil {
						return err
					}
					testkit.Compare(t, "hidden", hidden[i*d:(i+1)*d], session.Hidden(), 1e-5)
				}
				seen += some
				return nil
			})
			if err != nil || seen != n {
				t.Fatalf("%d of %d branches, %v", seen, n, err)
			}
		}
	})
}

func TestBranchesRefuse(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	x := readContexts(t, e, 2, 5)
	failed := errors.New("failed")
	none := func(int, int, []float32) error { t.Error("called"); return nil }
	for _, c := range []struct {
		want     string
		branches []backbone.Branch
		ids      int
		do       func(int, int, []float32) error
	}{
		{"context 2 of 2", []backbone.Branch{{2, 1}}, width, none},
		{"continues 6 positions", []backbone.Branch{{0, 1}, {1, 6}}, 2 * width, none},
		{"2 branches with 3 ids", make([]backbone.Branch, 2), 3, none},
		{"1 branches with 0 ids", make([]backbone.Branch, 1), 0, none},
		{"failed", make([]backbone.Branch, 1), width, func(int, int, []float32) error { return failed }},
	} {
		if err := x.branches.Continue(c.branches, randomIDs(1, c.ids), c.do); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if err := x.branches.Continue(nil, nil, none); err != nil {
		t.Errorf("no branches: %v", err)
	}
	bad := make([]int32, width)
	bad[1] = vocab
	if err := x.branches.Continue(make([]backbone.Branch, 1), bad, none); err == nil {
		t.Error("no error for an id outside the table")
	}
}
