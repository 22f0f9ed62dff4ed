package kernel

import "github.com/calm-go/calm/internal/bfloat16"

// weight is a number format of W in products: float32, bfloat16, or the int8 of package internal/quantize without scale.
type weight interface{ float32 | uint16 | int8 }

// float returns the value of a weight.
func float[T weight](v T) float32 {
	if u, ok := any(v).(uint16); ok {
		return bfloat16.ToFloat32(u)
	}
	return float32(v)
}
