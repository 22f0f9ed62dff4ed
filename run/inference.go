package run

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/nn"
)

// DType is the number format of an opened run's weight matrices in memory. Norms, biases and all computation are float32.
type DType string

// Number formats of weight matrices.
const (
	Float32  DType = "float32"
	BFloat16 DType = "bfloat16" // half the memory, and half of it to read
	Int8     DType = "int8"     // a quarter, with a float32 scale for each row; embeddings that are only looked up stay
)

// SplitDType separates the assignments to dtype from all others. It returns the format that they set, Float32 where there are
// none. A wrong value is a *config.Error.
func SplitDType(set []string) (d DType, others []string, err error) {
	var own []string
	for _, s := range set {
		if key, _, _ := strings.Cut(s, "="); strings.TrimSpace(key) == "dtype" {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	c, err := config.Compose(inference{Float32}, "", own)
	return c.DType, others, err
}

// inference holds the keys that Open takes as assignments. They are not part of a run's configuration.
type inference struct {
	DType DType `json:"dtype"`
}

// Validate reports everything that is wrong, as a *config.Error.
func (c inference) Validate() error {
	var p config.Problems
	config.OneOf(&p, "dtype", string(c.DType), string(Float32), string(BFloat16), string(Int8))
	return p.Err()
}

// load gives every parameter its values from a file. The file must have all parameters in their shapes, and no others. Where
// the file has a parameter in the right format, the parameter becomes a view of the mapped file: then views is true, and the
// file must stay open.
func (m *Model) load(f *checkpoint.File, d DType) (views bool, err error) {
	params := m.Params.All()
	errs := make([]error, len(params))
	var wg sync.WaitGroup
	var next atomic.Int64
	var viewed atomic.Bool
	for range runtime.GOMAXPROCS(0) { // converting takes as long as reading
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(params); i = next.Add(1) - 1 {
				var v bool
				if v, errs[i] = m.loadParam(f, params[i], d); v {
					viewed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return false, err
		}
	}
	if err := f.Only(func(name string) bool { return m.Params.Get(name) != nil }); err != nil {
		return false, err
	}
	return viewed.Load(), nil
}

func (m *Model) loadParam(f *checkpoint.File, p *nn.Param, d DType) (view bool, err error) {
	info, ok := f.Info(p.Name)
	if !ok {
		_, err := f.Bytes(p.Name) // the error says that it is missing
		return false, err
	}
	switch {
	case !p.Matrix():
	case d == Int8 && p.Lookup && info.DType == checkpoint.BF16, d == BFloat16:
		return m.loadBF16(f, info)
	case d == Int8 && !p.Lookup:
		return false, m.loadInt8(f, info)
	}
	data := f.Float32View(p.Name)
	if view = data != nil && (d == Float32 || p.Matrix()); !view { // vectors alone are not worth keeping the file open
		data = make([]float32, info.Len())
		err = f.ReadFloat32(p.Name, data)
	}
	if err == nil {
		err = m.matches(f, m.Params.SetData(p.Name, info.Shape, data))
	}
	return view, err
}

func (m *Model) loadBF16(f *checkpoint.File, t checkpoint.Info) (view bool, err error) {
	data := f.BF16View(t.Name)
	if view = data != nil; !view {
		data = make([]uint16, t.Len())
		err = f.ReadBF16(t.Name, data)
	}
	if err == nil {
		err = m.matches(f, m.Params.SetBF16(t.Name, t.Shape, data))
	}
	return view, err
}

func (m *Model) loadInt8(f *checkpoint.File, t checkpoint.Info) error {
	if len(t.Shape) != 2 {
		return m.matches(f, m.Params.SetInt8(t.Name, t.Shape, nil, nil)) // the error says which shape it is to have
	}
	data, scales := make([]int8, t.Len()), make([]float32, t.Shape[0])
	if err := f.ReadInt8(t.Name, data, scales); err != nil {
		return err
	}
	return m.matches(f, m.Params.SetInt8(t.Name, t.Shape, data, scales))
}

func (m *Model) matches(f *checkpoint.File, err error) error {
	if err != nil {
		err = fmt.Errorf("%s does not match %s: %w", f.Path(), checkpoint.ConfigFile, err)
	}
	return err
}

// ErrClosed is returned for a model or a training that was closed.
var ErrClosed = generate.ErrClosed

// Close closes the file that the weights are mapped from. The model has no weights afterwards: measuring it returns
// ErrClosed. Closing again does nothing.
func (m *Model) Close() error {
	if m.closed {
		return nil
	}
	m.closed = true
	m.Params.Release() // they may be in the file
	if m.weights == nil {
		return nil
	}
	return m.weights.Close()
}

// Closed reports whether the model was closed.
func (m *Model) Closed() bool { return m.closed }
