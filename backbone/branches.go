package backbone

import (
	"fmt"
	"slices"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// branchSizes are the numbers of branches that one run takes, smallest first.
var branchSizes = []int{8, 32, 128, 512}

// Branch says what a branch continues. Several branches may continue the same positions.
type Branch struct {
	Context int // index of a context, from 0
	Length  int // the branch continues this many first positions of the context
}

// Branches does shared-prefix decoding: it continues many prefixes of the same contexts at once, each with positions of
// its own. All read the same keys and values. It is not safe for concurrent use: one program of an engine runs at a
// time.
type Branches struct {
	model    *Model
	engine   *cpu.Engine
	embed    Embed
	width    int
	contexts int
	capacity int
	memory   []CacheMemory
	programs map[[2]int]*branchProgram // by branches and positions of each
	hidden   []float32                 // [size, D]
}

// CacheMemory is the memory of a layer's keys and values: [contexts, capacity, key-value heads * head size] each.
type CacheMemory struct{ K, V []float32 }

type branchProgram struct {
	program                      *cpu.Program
	ids, context, length, hidden *nn.Tensor
}

// NewBranches makes branches of contexts whose keys and values another program computes, see ForwardCaches: that many
// contexts of capacity positions. memory holds them by layer, and each Continue reads what it then holds. A position is
// width tokens.
func (m *Model) NewBranches(e *cpu.Engine, embed Embed, width, contexts, capacity int, memory []CacheMemory) *Branches {
	if len(memory) != len(m.blocks) {
		panic(fmt.Sprintf("backbone: keys and values of %d layers for a model of %d", len(memory), len(m.blocks)))
	}
	return &Branches{model: m, engine: e, embed: embed, width: width, contexts: contexts, capacity: capacity, memory: memory,
		programs: map[[2]int]*branchProgram{}}
}

// Continue appends the same number of positions to each branch, ids [len(branches), positions, width]. It passes the
// hidden states of each branch's last position to do, a group of branches at a time: row i of hidden [size, D] is that
// of branch first+i, for i < n. Further rows are stale. hidden is valid only during the call. Continue stops at the
// first error: a branch that does not exist, an id outside the vocabulary, or an error of do. It is fastest if branches
// of the same context follow each other.
func (b *Branches) Continue(branches []Branch, ids []int32, do func(first, n int, hidden []float32) error) error {
	if len(branches) == 0 {
		return nil
	}
	each := len(ids) / len(branches)
	if each == 0 || each%b.width != 0 || each*len(branches) != len(ids) {
		return fmt.Errorf("continue %d branches with %d ids: want as many positions of %d tokens for each", len(branches), len(ids), b.width)
	}
	for first := 0; first < len(branches); {
		left := len(branches) - first
		size := branchSizes[0]
		for _, s := range branchSizes {
			if s <= left {
				size = s
			}
		}
		n := min(size, left)
		hidden, err := b.run(b.program(size, each/b.width), branches[first:first+n], ids[first*each:(first+n)*each])
		if err != nil {
			return err
		}
		if err := do(first, n, hidden); err != nil {
			return err
		}
		first += n
	}
	return nil
}

// run returns the hidden states [size, D] of the last positions.
func (b *Branches) run(p *branchProgram, branches []Branch, ids []int32) ([]float32, error) {
	context, length := p.program.Ints(p.context), p.program.Ints(p.length)
	for i := range context {
		context[i], length[i] = -1, 0
		if i < len(branches) {
			context[i], length[i] = int32(branches[i].Context), int32(branches[i].Length)
		}
	}
	in := p.program.Ints(p.ids)
	clear(in[copy(in, ids):])
	if err := p.program.Forward(); err != nil {
		return nil, err
	}
	d, n := b.model.Config.HiddenSize, p.ids.Dim(1)
	b.hidden = slices.Grow(b.hidden[:0], len(context)*d)
	for i, out := 0, p.program.Floats(p.hidden); i < len(context); i++ {
		b.hidden = append(b.hidden, out[(i*n+n-1)*d:(i*n+n)*d]...)
	}
	return b.hidden, nil
}

// program returns the program for that many branches and positions of each, compiled when first asked for.
func (b *Branches) program(size, positions int) *branchProgram {
	key := [2]int{size, positions}
	if p := b.programs[key]; p != nil {
		return p
	}
	g := nn.NewGraph()
	p := &branchProgram{ids: g.Ints("ids", size, positions, b.width), context: g.Ints("context", size), length: g.Ints("length", size)}
	caches := b.model.Caches(g, b.contexts, b.capacity)
	p.hidden = b.model.Branch(g, b.embed(g, p.ids), caches, p.context, p.length)
	g.Output(p.hidden)
	p.program = b.engine.Compile(g, cpu.Inference)
	for i, c := range caches {
		p.program.Bind(c.K, b.memory[i].K)
		p.program.Bind(c.V, b.memory[i].V)
	}
	b.programs[key] = p
	return p
}

// Outputs marks caches as outputs of their graph, so that they can be read after a run.
func Outputs(g *nn.Graph, caches []Cache) {
	for _, c := range caches {
		g.Output(c.K, c.V)
	}
}

// MemoryOf returns the memory of caches that are outputs of their graph.
func MemoryOf(v nn.Values, caches []Cache) []CacheMemory {
	var list []CacheMemory
	for _, c := range caches {
		list = append(list, CacheMemory{v.Floats(c.K), v.Floats(c.V)})
	}
	return list
}
