package torch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/calm-go/calm/internal/checkpoint"
)

// Types of values in a pickle, besides string, int64, float64 and bool.
type (
	none   struct{}
	tuple  []any
	list   struct{ items []any }
	dict   struct{ items []item } // in order; repeated keys are found when it is used
	global string                 // "module name"

	item struct {
		key   any
		value any
	}
	storage struct {
		dtype checkpoint.DType
		key   string
		len   int64 // numbers
	}
	tensor struct {
		storage storage
		offset  int64 // numbers
		shape   []int
		strides []int64
	}
)

// named is an entry of a file's dictionary of tensors.
type named struct {
	name   string
	tensor *tensor
}

// Globals that a pickle may call. Others are refused as soon as they are named.
const (
	orderedDict      = global("collections OrderedDict")
	rebuildTensor    = global("torch._utils _rebuild_tensor_v2")
	rebuildParameter = global("torch._utils _rebuild_parameter")
)

// storageTypes are the globals that name a format of numbers.
var storageTypes = map[global]checkpoint.DType{
	"torch FloatStorage": checkpoint.F32, "torch BFloat16Storage": checkpoint.BF16, "torch HalfStorage": checkpoint.F16,
	"torch DoubleStorage": checkpoint.F64, "torch LongStorage": checkpoint.I64, "torch IntStorage": checkpoint.I32,
	"torch ShortStorage": "I16", "torch CharStorage": "I8", "torch ByteStorage": "U8", "torch BoolStorage": "BOOL",
}

func (d *dict) tensors() ([]named, error) {
	var out []named
	seen := map[string]bool{}
	for _, it := range d.items {
		name, ok := it.key.(string)
		if !ok {
			return nil, fmt.Errorf("the name of a tensor is %s; want a string", describe(it.key))
		}
		t, ok := it.value.(*tensor)
		if !ok {
			return nil, fmt.Errorf("%q is %s, not a tensor: is it a checkpoint of the trainer? want the weights alone", clip(name), describe(it.value))
		}
		if seen[name] {
			return nil, fmt.Errorf("tensor %q occurs twice", clip(name))
		}
		seen[name] = true
		out = append(out, named{name, t})
	}
	return out, nil
}

// newTensor is _rebuild_tensor_v2(storage, offset, size, stride, ..).
func newTensor(args tuple) (*tensor, error) {
	s, isStorage := args[0].(storage)
	offset, isInt := args[1].(int64)
	shape, err := sizes(args[2])
	strides, serr := sizes(args[3])
	if !isStorage || !isInt || offset < 0 || err != nil || serr != nil {
		return nil, fmt.Errorf("a tensor of %s from %v on, shape %v, strides %v", describe(args[0]), describe(args[1]), describe(args[2]), describe(args[3]))
	}
	t := &tensor{storage: s, offset: offset, strides: strides, shape: make([]int, len(shape))}
	for i, n := range shape {
		t.shape[i] = int(n)
	}
	return t, nil
}

// sizes reads a tuple of a few numbers, 0 or more.
func sizes(v any) ([]int64, error) {
	values, ok := v.(tuple)
	if !ok || len(values) > 16 {
		return nil, errors.New("not a short tuple")
	}
	out := make([]int64, len(values))
	for i, v := range values {
		n, ok := v.(int64)
		if !ok || n < 0 || n > 1<<48 {
			return nil, errors.New("not a size")
		}
		out[i] = n
	}
	return out, nil
}

// describe names a value in an error.
func describe(v any) string {
	switch v := v.(type) {
	case none:
		return "None"
	case string:
		return fmt.Sprintf("%q", clip(v))
	case global:
		return strings.ReplaceAll(clip(string(v)), " ", ".")
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *dict:
		return fmt.Sprintf("a dictionary of %d", len(v.items))
	case storage:
		return "storage " + clip(v.key)
	case *tensor:
		return "a tensor"
	}
	return fmt.Sprint(v) // a number or a bool
}

// clip shortens what a message quotes.
func clip(s string) string { return s[:min(len(s), 80)] }
