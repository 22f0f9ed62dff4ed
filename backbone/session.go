package backbone

import (
	"errors"
	"fmt"
	"slices"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// ErrFull says that a context has no room for what was to be appended.
var ErrFull = errors.New("the context is full")

// chunkSizes are the numbers of positions that one run takes, smallest first. A prompt goes through in large ones,
// which read and pack the weights once for many positions; a generated patch through a single one. 256 positions of a
// width of 1024 take 15 % less time than four times 64, 25 % with weights of bfloat16.
var chunkSizes = []int{1, 4, 16, 64, 256}

// Embed adds the input of a backbone to a graph: ids [B, T, width] int32 give x [B, T, D].
type Embed func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor

// Session holds B contexts of one length, with their keys and values, and appends to them. A context is a row of
// positions, a position is width tokens. It is not safe for concurrent use, nor beside another program of its engine.
type Session struct {
	model  *Model
	engine *cpu.Engine
	embed  Embed
	rows   int
	width  int

	capacity int
	length   int
	keys     [][]float32 // by layer
	values   [][]float32
	chunks   []*chunk // by chunkSizes, nil until needed
	hidden   []float32
}

// chunk is a program for a fixed number of new positions.
type chunk struct {
	size               int
	program            *cpu.Program
	ids, start, hidden *nn.Tensor
}

// NewSession makes empty contexts for that many rows, with memory for capacity positions each.
func (m *Model) NewSession(e *cpu.Engine, embed Embed, rows, width, capacity int) *Session {
	s := &Session{model: m, engine: e, embed: embed, rows: rows, width: width, capacity: capacity,
		chunks: make([]*chunk, len(chunkSizes)), hidden: make([]float32, rows*m.Config.HiddenSize)}
	size := rows * capacity * m.Config.HeadSize() * m.Config.NumKeyValueHeads
	for range m.blocks {
		s.keys = append(s.keys, make([]float32, size))
		s.values = append(s.values, make([]float32, size))
	}
	s.chunk(0)
	return s
}

// Rows returns the number of contexts.
func (s *Session) Rows() int { return s.rows }

// Len returns the number of positions in each context.
func (s *Session) Len() int { return s.length }

// Capacity returns the number of positions a context may have.
func (s *Session) Capacity() int { return s.capacity }

// Hidden returns the hidden states [B, D] of the positions appended last. The memory is the session's and changes with
// the next Append.
func (s *Session) Hidden() []float32 { return s.hidden }

// Truncate cuts the contexts to their first n positions. Hidden is of no use until the next Append.
func (s *Session) Truncate(n int) {
	if n < 0 || n > s.length {
		panic(fmt.Sprintf("backbone: truncate a context of %d positions to %d", s.length, n))
	}
	s.length = n
}

// Append adds the same number of positions to every context: ids [B, n, width], n at least 1. After an error, ErrFull
// or an id that the model does not have, the session is as it was before. Single positions do not allocate.
func (s *Session) Append(ids []int32) error {
	n := len(ids) / (s.rows * s.width)
	if n == 0 || n*s.rows*s.width != len(ids) {
		return fmt.Errorf("append %d ids to %d contexts of %d tokens a position: want a multiple of %d",
			len(ids), s.rows, s.width, s.rows*s.width)
	}
	if s.length+n > s.capacity {
		return fmt.Errorf("append %d positions to %d of at most %d: %w", n, s.length, s.capacity, ErrFull)
	}
	var last *chunk
	for done := 0; done < n; done += last.size {
		last = s.fitting(n - done)
		if err := s.run(last, ids, n, done); err != nil {
			return err
		}
	}
	s.length += n
	d, out := s.model.Config.HiddenSize, last.program.Floats(last.hidden)
	for b := range s.rows {
		copy(s.hidden[b*d:(b+1)*d], out[(b*last.size+last.size-1)*d:])
	}
	return nil
}

// run sends positions done, done+1, .. of the n in ids through a chunk.
func (s *Session) run(c *chunk, ids []int32, n, done int) error {
	in, start := c.program.Ints(c.ids), c.program.Ints(c.start)
	for b := range s.rows {
		copy(in[b*c.size*s.width:(b+1)*c.size*s.width], ids[(b*n+done)*s.width:])
		start[b] = int32(s.length + done)
	}
	return c.program.Forward()
}

// fitting returns the largest chunk of at most n positions.
func (s *Session) fitting(n int) *chunk {
	i, found := slices.BinarySearch(chunkSizes, n)
	if !found {
		i--
	}
	return s.chunk(i)
}

// chunk returns the program for chunkSizes[i], compiled when first asked for.
func (s *Session) chunk(i int) *chunk {
	if s.chunks[i] != nil {
		return s.chunks[i]
	}
	g := nn.NewGraph()
	c := &chunk{size: chunkSizes[i]}
	c.ids = g.Ints("ids", s.rows, c.size, s.width)
	c.start = g.Ints("start", s.rows)
	caches := s.model.Caches(g, s.rows, s.capacity)
	c.hidden = s.model.Continue(g, s.embed(g, c.ids), caches, c.start)
	g.Output(c.hidden)
	c.program = s.engine.Compile(g, cpu.Inference)
	for l, cache := range caches {
		c.program.Bind(cache.K, s.keys[l])
		c.program.Bind(cache.V, s.values[l])
	}
	s.chunks[i] = c
	return c
}
