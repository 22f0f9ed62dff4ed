// Package layer bundles the parameters of the layers that several of calm's models have, with the operations that
// apply them. Names follow PyTorch's modules: a layer called name has the parameters name.weight and name.bias.
package layer

import "github.com/calm-go/calm/nn"

// Linear is a weight matrix [out, in] and, if it has one, a bias [out].
type Linear struct {
	W, B *nn.Param // B is nil without bias
}

// NewLinear declares a linear layer whose weights start from N(0, std^2) and whose bias starts at zero. A std of 0
// starts the weights at zero too.
func NewLinear(ps *nn.Params, name string, in, out int, bias bool, std float64) Linear {
	return NewLinearFrom(ps, name, in, out, bias, nn.Gaussian(float32(std)))
}

// NewLinearFrom is NewLinear with another start of the weights.
func NewLinearFrom(ps *nn.Params, name string, in, out int, bias bool, init nn.Init) Linear {
	l := Linear{W: ps.Matrix(name+".weight", init, out, in)}
	if bias {
		l.B = ps.Vector(name+".bias", nn.Constant(0), out)
	}
	return l
}

// Apply multiplies x [.., in] and adds the bias, with the window, the summand and the activation of o.
func (l Linear) Apply(g *nn.Graph, x *nn.Tensor, o nn.LinearOptions) *nn.Tensor {
	return g.Linear(x, g.Param(l.W), l.bias(g), o)
}

// ApplyWeight is Apply without the bias, for products whose summand has it already.
func (l Linear) ApplyWeight(g *nn.Graph, x *nn.Tensor, o nn.LinearOptions) *nn.Tensor {
	return g.Linear(x, g.Param(l.W), nil, o)
}

func (l Linear) bias(g *nn.Graph) *nn.Tensor {
	if l.B == nil {
		return nil
	}
	return g.Param(l.B)
}

// RMSNorm is the weight [D] of a root-mean-square norm, which starts at one.
type RMSNorm struct {
	W   *nn.Param // [D]
	Eps float32   // added to the mean square
}

// NewRMSNorm declares a root-mean-square norm of rows of length n.
func NewRMSNorm(ps *nn.Params, name string, n int, eps float64) RMSNorm {
	return RMSNorm{W: ps.Vector(name+".weight", nn.Constant(1), n), Eps: float32(eps)}
}

// Apply normalises the rows of x [.., D].
func (l RMSNorm) Apply(g *nn.Graph, x *nn.Tensor) *nn.Tensor {
	return g.RMSNorm(x, g.Param(l.W), l.Eps)
}

// LayerNorm is the weight [D], which starts at one, and the bias [D] of a layer norm. Its epsilon is 1e-6, as
// everywhere in the reference.
type LayerNorm struct {
	W, B *nn.Param // weight and bias [D]
}

// LayerNormEps is added to the variance.
const LayerNormEps = 1e-6

// NewLayerNorm declares a layer norm of rows of length n.
func NewLayerNorm(ps *nn.Params, name string, n int) LayerNorm {
	return LayerNorm{
		W: ps.Vector(name+".weight", nn.Constant(1), n),
		B: ps.Vector(name+".bias", nn.Constant(0), n),
	}
}

// Apply normalises the rows of x [.., D].
func (l LayerNorm) Apply(g *nn.Graph, x *nn.Tensor) *nn.Tensor {
	return g.LayerNorm(x, g.Param(l.W), g.Param(l.B), LayerNormEps)
}

// GatedMLP is the feed-forward part of Llama's layers and of the autoencoder's:
//
//	y = x + Down(SiLU(Gate n) * Up n), n = norm of x      x, n, y [.., D]; Gate, Up [F, D]; Down [D, F]
type GatedMLP struct {
	Gate, Up, Down Linear // [F, D], [F, D], [D, F]
}

// NewGatedMLP declares name.gate_proj, name.up_proj and name.down_proj.
func NewGatedMLP(ps *nn.Params, name string, hidden, intermediate int, bias bool, std float64) GatedMLP {
	return GatedMLP{
		Gate: NewLinear(ps, name+".gate_proj", hidden, intermediate, bias, std),
		Up:   NewLinear(ps, name+".up_proj", hidden, intermediate, bias, std),
		Down: NewLinear(ps, name+".down_proj", intermediate, hidden, bias, std),
	}
}

// Apply adds to the residual what the layer makes of normed.
func (l GatedMLP) Apply(g *nn.Graph, normed, residual *nn.Tensor) *nn.Tensor {
	gate := l.Gate.Apply(g, normed, nn.LinearOptions{})
	up := l.Up.Apply(g, normed, nn.LinearOptions{})
	return l.Down.Apply(g, g.SwiGLU(gate, up), nn.LinearOptions{Add: residual})
}
