package ar

import (
	"fmt"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/nn"
)

// Evaluation is the graph of a measurement on B rows of T tokens, of which the first T-1 are inputs and the last T-1
// targets: P = B*(T-1) positions.
type Evaluation struct {
	Graph  *nn.Graph        // the graph; the fields below are tensors of it
	IDs    *nn.Tensor       // input [B, T-1] int32
	Labels *nn.Tensor       // input [B, T-1] int32
	Tokens *nn.Categorical  // of the P positions, with that many draws of each; all are outputs
	Caches []backbone.Cache // by layer, keys and values of the B rows of T-1 positions; outputs
}

// Evaluation describes a measurement with that many draws a position.
func (m *Model) Evaluation(rows, tokens, draws int) *Evaluation {
	g := nn.NewGraph()
	e := &Evaluation{Graph: g, IDs: g.Ints("ids", rows, tokens-1), Labels: g.Ints("labels", rows, tokens-1)}
	var hidden *nn.Tensor
	hidden, e.Caches = m.Backbone.ForwardCaches(g, m.Tokens(g, e.IDs))
	e.Tokens = m.categorical(g, hidden, e.Labels, draws)
	backbone.Outputs(g, e.Caches)
	return e
}

func (m *Model) categorical(g *nn.Graph, hidden, labels *nn.Tensor, draws int) *nn.Categorical {
	c := g.Categorical(hidden, g.Param(m.head), labels, g.Random("uniform", nn.Uniform(0, 1), draws, hidden.Rows()))
	g.Output(c.LogP, c.Collision, c.Best, c.Draws)
	return c
}

// Fill writes rows of tokens, ids [B, T], into the graph's inputs. Another number of ids is an error; the run checks their
// values. Fill does not allocate.
func (e *Evaluation) Fill(v nn.Values, ids []int32) error {
	rows, inputs := e.IDs.Dim(0), e.IDs.Dim(1)
	if len(ids) != rows*(inputs+1) {
		return fmt.Errorf("a batch of %d ids: want %d rows of %d tokens", len(ids), rows, inputs+1)
	}
	in, labels := v.Ints(e.IDs), v.Ints(e.Labels)
	for r := range rows {
		row := ids[r*(inputs+1):][:inputs+1]
		copy(in[r*inputs:(r+1)*inputs], row)
		copy(labels[r*inputs:(r+1)*inputs], row[1:])
	}
	return nil
}
