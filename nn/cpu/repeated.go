package cpu

import "github.com/calm-go/calm/nn"

// repeated describes n rows of which those m apart share a row of another tensor, which has m.
type repeated struct {
	n, m, width int
	shared      rows // the m rows, cut into pieces
}

func repeatedRows(x, part *nn.Tensor) repeated {
	return repeated{x.Rows(), part.Rows(), x.Cols(), cutRows(part.Rows(), x.Cols()*(x.Rows()/part.Rows()))}
}

// row returns row r of a tensor of the width.
func (s repeated) row(b []float32, r int) []float32 { return b[r*s.width : (r+1)*s.width] }

// putRepeat is put for one of several contributions to the same elements: again is true for all but the first, which add.
func (g *grad) putRepeat(p *Program, at int, values []float32, again bool) {
	if g == nil {
		return
	}
	if dst := g.f[at : at+len(values)]; again {
		p.eng.isa.Add(dst, dst, values)
	} else {
		g.put(p, at, values)
	}
}
