package testkit

import "github.com/calm-go/calm/nn"

// Values is the memory of a graph without an engine, for tests of code that fills and reads graphs. It implements [nn.Values].
type Values struct {
	ints   map[*nn.Tensor][]int32
	floats map[*nn.Tensor][]float32
}

// NewValues returns memory in which every element is 0.
func NewValues() *Values {
	return &Values{map[*nn.Tensor][]int32{}, map[*nn.Tensor][]float32{}}
}

// Ints implements [nn.Values].
func (v *Values) Ints(t *nn.Tensor) []int32 {
	if v.ints[t] == nil {
		v.ints[t] = make([]int32, t.Size())
	}
	return v.ints[t]
}

// Floats implements [nn.Values].
func (v *Values) Floats(t *nn.Tensor) []float32 {
	if v.floats[t] == nil {
		v.floats[t] = make([]float32, t.Size())
	}
	return v.floats[t]
}

// Scalar implements [nn.Values].
func (v *Values) Scalar(t *nn.Tensor) float32 { return v.Floats(t)[0] }
