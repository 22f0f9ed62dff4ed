package nn

// Values gives access to the memory of a compiled graph. Write inputs before a run; read outputs after it. An engine's compiled
// program implements it, such as *cpu.Program of package nn/cpu. Code that only fills and reads graphs takes Values, so that it
// depends on no engine. The slices stay the same from run to run.
type Values interface {
	// Ints returns the memory of an Int32 input or output, row-major.
	Ints(t *Tensor) []int32
	// Floats returns the memory of a Float32 input or output, row-major.
	Floats(t *Tensor) []float32
	// Scalar returns the value of a Float32 output with one element.
	Scalar(t *Tensor) float32
}
