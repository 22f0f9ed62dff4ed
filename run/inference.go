package run

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/nn"
)

// DType is the number format that the weight matrices of an opened run have in memory. Norms, biases and all that is
// computed are float32.
type DType string

const (
	Float32  DType = "float32"
	BFloat16 DType = "bfloat16" // half the memory to hold and to read
)

// Inference says how a run is opened. Its keys are not part of a run's configuration: Open takes them as assignments.
type Inference struct {
	DType DType `json:"dtype"`
}

// DefaultInference holds weights in float32.
func DefaultInference() Inference { return Inference{DType: Float32} }

// Validate reports everything that is wrong, as a *config.Error.
func (c Inference) Validate() error {
	var p config.Problems
	config.OneOf(&p, "dtype", string(c.DType), string(Float32), string(BFloat16))
	return p.Err()
}

// ParseInference lays key=value assignments over DefaultInference.
func ParseInference(sets []string) (Inference, error) {
	return config.Compose(DefaultInference(), "", sets)
}

// SplitSets separates the assignments that ParseInference takes from others.
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

// load gives every parameter its values from a file that must have it in the right shape, and nothing else. What lies
// there as it is wanted stays there: then views is true, and the file has to stay open.
func (m *Model) load(f *checkpoint.File, d DType) (views bool, err error) {
	params := m.Params.All()
	errs := make([]error, len(params))
	var wg sync.WaitGroup
	var next atomic.Int64
	var viewed atomic.Bool
	for range runtime.GOMAXPROCS(0) { // conversion is as much work as reading
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
		_, err := f.Bytes(p.Name) // which says that it is missing
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
	if view = data != nil && d == Float32; !view { // vectors alone are not worth an open file
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

// Close gives back the file that the weights lie in; the model cannot compute afterwards.
func (m *Model) Close() error {
	if m.weights == nil {
		return nil
	}
	f := m.weights
	m.weights = nil
	return f.Close()
}
