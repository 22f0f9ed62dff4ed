package nn

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/calm-go/calm/internal/bfloat16"
	"github.com/calm-go/calm/internal/quantize"
	"github.com/calm-go/calm/nn/random"
)

// Param is a named parameter of a model. Names are those of the reference's checkpoints.
type Param struct {
	Name   string    // unique in its Params
	Shape  []int     // [rows, columns] of a matrix, [n] of a vector
	Data   []float32 // row-major, nil until the parameters are allocated, initialised or loaded
	BF16   []uint16  // the values of a matrix as bfloat16, Data then nil: for inference only, see Params.SetBF16
	Int8   []int8    // the values of a matrix as multiples of Scales, Data then nil: for inference only, see Params.SetInt8
	Scales []float32 // of the rows of Int8
	Init   Init      // how Params.Initialize draws the values
	Decay  bool      // weight decay applies: matrices and embeddings, not biases nor norm weights
	Lookup bool      // a table that is only looked up in: no product reads it, and its format stays as it is
	Frozen bool      // training does not change it
	// Rate is the learning-rate multiplier, 1 at first. At 0 an optimizer changes neither the parameter nor its moments.
	Rate float64
}

// Size returns the number of elements.
func (p *Param) Size() int { return size(p.Shape) }

// HasData reports whether the parameter has its values, in any format.
func (p *Param) HasData() bool { return p.Data != nil || p.BF16 != nil || p.Int8 != nil }

// Trainable reports whether training changes the parameter.
func (p *Param) Trainable() bool { return !p.Frozen }

// Init says how a parameter is initialized. Gaussian, XavierUniform and Constant make one.
type Init struct {
	Std     float32 // if not 0: a normal distribution of this standard deviation around 0
	Bound   float32 // else, if not 0: a uniform distribution on [-Bound, Bound)
	Const   float32 // else: this constant
	ZeroRow int     // a row of a normally distributed matrix that is set to 0, -1 for none
}

// Gaussian initializes a parameter from N(0, std^2).
func Gaussian(std float32) Init { return Init{Std: std, ZeroRow: -1} }

// XavierUniform initializes a matrix [out, in] from the uniform distribution of Glorot and Bengio (2010), whose bound is
// sqrt(6 / (in + out)).
func XavierUniform(out, in int) Init {
	return Init{Bound: float32(math.Sqrt(6 / float64(in+out))), ZeroRow: -1}
}

// Constant initializes every element of a parameter to c.
func Constant(c float32) Init { return Init{Const: c, ZeroRow: -1} }

// IsConstant reports whether all elements are initialized to one value.
func (i Init) IsConstant() bool { return i.Std == 0 && i.Bound == 0 }

// Params is the ordered set of a model's parameters. Several graphs may read the same set.
type Params struct {
	list   []*Param
	byName map[string]*Param
	frozen bool
}

// NewParams returns an empty set.
func NewParams() *Params { return &Params{byName: map[string]*Param{}} }

// Matrix adds a weight matrix, or an embedding table that products read too; weight decay applies to it.
func (ps *Params) Matrix(name string, init Init, rows, cols int) *Param {
	return ps.add(&Param{Name: name, Shape: []int{rows, cols}, Init: init, Decay: true})
}

// Table adds an embedding table that no product reads; weight decay applies to it.
func (ps *Params) Table(name string, init Init, rows, cols int) *Param {
	p := ps.Matrix(name, init, rows, cols)
	p.Lookup = true
	return p
}

// Vector adds a bias or a norm's weight; weight decay does not apply to it.
func (ps *Params) Vector(name string, init Init, n int) *Param {
	return ps.add(&Param{Name: name, Shape: []int{n}, Init: init})
}

func (ps *Params) add(p *Param) *Param {
	check(ps.byName[p.Name] == nil, "params", "the name %q is taken", p.Name)
	p.Frozen, p.Rate = ps.frozen, 1
	ps.list = append(ps.list, p)
	ps.byName[p.Name] = p
	return p
}

// Freeze marks every parameter, and every one that is added later, as never trained.
func (ps *Params) Freeze() {
	ps.frozen = true
	for _, p := range ps.list {
		p.Frozen = true
	}
}

// All returns the parameters in the order they were added.
func (ps *Params) All() []*Param { return ps.list }

// Trainable returns the parameters that training changes, in the order they were added.
func (ps *Params) Trainable() []*Param {
	return slices.DeleteFunc(slices.Clone(ps.list), func(p *Param) bool { return p.Frozen })
}

// Get returns the parameter called name, or nil.
func (ps *Params) Get(name string) *Param { return ps.byName[name] }

// Count returns the number of elements of all parameters, and of the trainable ones.
func (ps *Params) Count() (all, trainable int) {
	for _, p := range ps.list {
		all += p.Size()
		if p.Trainable() {
			trainable += p.Size()
		}
	}
	return all, trainable
}

// Initialize allocates every parameter that has no values yet and draws it: element i of a parameter follows from seed,
// the parameter's name and i alone, the same on every machine.
func (ps *Params) Initialize(seed uint64) {
	for _, p := range ps.list {
		if p.HasData() {
			continue
		}
		p.Data = make([]float32, p.Size())
		p.initialize(seed)
	}
}

func (p *Param) initialize(seed uint64) {
	stream := random.Stream{Seed: seed, Draw: random.ID("init"), Step: hash64(p.Name)}
	switch {
	case p.Init.IsConstant():
		for i := range p.Data {
			p.Data[i] = p.Init.Const
		}
		return
	case p.Init.Std == 0:
		random.Uniform(p.Data, stream, 0, -p.Init.Bound, p.Init.Bound)
		return
	}
	random.Normal(p.Data, stream, 0)
	for i := range p.Data {
		p.Data[i] *= p.Init.Std
	}
	if r := p.Init.ZeroRow; r >= 0 {
		cols := p.Shape[len(p.Shape)-1]
		clear(p.Data[r*cols : (r+1)*cols])
	}
}

// Release drops all values, so that their memory can be collected.
func (ps *Params) Release() {
	for _, p := range ps.list {
		p.set(nil, nil, nil, nil)
	}
}

// SetData gives the parameter called name its values as float32. The slice is kept, not copied.
func (ps *Params) SetData(name string, shape []int, data []float32) error {
	p, err := ps.shaped(name, shape)
	if err != nil {
		return err
	}
	p.set(data, nil, nil, nil)
	return nil
}

// SetBF16 is SetData for a matrix of bfloat16, which takes half the memory. Engines read it in inference, widen each value
// to float32 and compute as with float32. Vectors (norms and biases) stay float32.
func (ps *Params) SetBF16(name string, shape []int, data []uint16) error {
	p, err := ps.shaped(name, shape)
	if err != nil {
		return err
	}
	if !p.Matrix() {
		return fmt.Errorf("parameter %q of shape %v is a vector: only matrices can be bfloat16", name, p.Shape)
	}
	p.set(nil, data, nil, nil)
	return nil
}

// Matrix reports whether the parameter is a matrix, such as a table, and not a vector.
func (p *Param) Matrix() bool { return len(p.Shape) == 2 }

// RoundToBF16 rounds every float32 matrix to bfloat16, for inference.
func (ps *Params) RoundToBF16() {
	for _, p := range ps.list {
		if p.Matrix() && p.Data != nil {
			half := make([]uint16, len(p.Data))
			bfloat16.Round(half, p.Data)
			p.set(nil, half, nil, nil)
		}
	}
}

// SetInt8 is SetData for a matrix of int8 [rows, columns] with the scales of its rows [rows], which takes a quarter of the
// memory: a value is its int8 times the scale of its row (package internal/quantize). Engines read it in inference, and
// compute in float32. Vectors (norms and biases) stay float32.
func (ps *Params) SetInt8(name string, shape []int, data []int8, scales []float32) error {
	p, err := ps.shaped(name, shape)
	if err != nil {
		return err
	}
	if !p.Matrix() {
		return fmt.Errorf("parameter %q of shape %v is a vector: only matrices can be int8", name, p.Shape)
	}
	if len(scales) != p.Shape[0] {
		return fmt.Errorf("parameter %q of shape %v has %d scales: each row has one", name, p.Shape, len(scales))
	}
	p.set(nil, nil, data, scales)
	return nil
}

// QuantizeToInt8 makes int8 of every float32 matrix that products read, for inference.
func (ps *Params) QuantizeToInt8() {
	for _, p := range ps.list {
		if p.Matrix() && !p.Lookup && p.Data != nil {
			data, scales := make([]int8, len(p.Data)), make([]float32, p.Shape[0])
			quantize.Matrix(data, scales, p.Data, p.Shape[1])
			p.set(nil, nil, data, scales)
		}
	}
}

// set replaces the values, which are in one format.
func (p *Param) set(data []float32, half []uint16, narrow []int8, scales []float32) {
	p.Data, p.BF16, p.Int8, p.Scales = data, half, narrow, scales
}

func (ps *Params) shaped(name string, shape []int) (*Param, error) {
	p := ps.byName[name]
	if p == nil {
		return nil, fmt.Errorf("there is no parameter %q", name)
	}
	if !slices.Equal(p.Shape, shape) {
		return nil, fmt.Errorf("parameter %q has shape %v, the model wants %v", name, shape, p.Shape)
	}
	return p, nil
}

func hash64(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}
