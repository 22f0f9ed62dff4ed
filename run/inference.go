package run

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/nn"
)

// DType is the number format of an opened run's weight matrices in memory. Norms, biases and all computation are float32.
type DType string

// Number formats of weight matrices.
const (
	Float32  DType = "float32"
	BFloat16 DType = "bfloat16" // half the memory, and half of it to read
)

// Inference is how Open loads a run. Its keys are not part of a run's configuration: Open takes them as assignments.
type Inference struct {
	DType DType `json:"dtype"` // number format of weight matrices in memory
}

// DefaultInference returns the settings of Open without assignments: weights in float32.
func DefaultInference() Inference { return Inference{DType: Float32} }

// Validate reports everything that is wrong, as a *config.Error.
func (c Inference) Validate() error {
	var p config.Problems
	config.OneOf(&p, "dtype", string(c.DType), string(Float32), string(BFloat16))
	return p.Err()
}

// ParseInference returns DefaultInference changed by key=value assignments. Unknown keys and wrong values are a *config.Error.
func ParseInference(sets []string) (Inference, error) {
	return config.Compose(DefaultInference(), "", sets)
}

// SplitSets separates the key=value assignments that ParseInference takes from all others.
func SplitSets(sets []string) (inference, others []string) {
	for _, s := range sets {
		if key, _, _ := strings.Cut(s, "="); strings.TrimSpace(key) == "dtype" {
			inference = append(inference, s)
		} else {
			others = append(others, s)
		}
	}
	return inference, others
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
	if d == BFloat16 && p.Matrix() {
		data := f.BF16View(p.Name)
		if view = data != nil; !view {
			data = make([]uint16, info.Len())
			err = f.ReadBF16(p.Name, data)
		}
		if err == nil {
			err = m.matches(f, m.Params.SetBF16(p.Name, info.Shape, data))
		}
		return view, err
	}
	data := f.Float32View(p.Name)
	if view = data != nil && d == Float32; !view { // vectors alone are not worth keeping the file open
		data = make([]float32, info.Len())
		err = f.ReadFloat32(p.Name, data)
	}
	if err == nil {
		err = m.matches(f, m.Params.SetData(p.Name, info.Shape, data))
	}
	return view, err
}

func (m *Model) matches(f *checkpoint.File, err error) error {
	if err != nil {
		err = fmt.Errorf("%s does not match %s: %w", f.Path(), checkpoint.ConfigFile, err)
	}
	return err
}

// ErrClosed is returned for a model or a training that was closed.
var ErrClosed = errors.New("the model is closed")

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
