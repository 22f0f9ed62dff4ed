package testkit

// ByPosition reorders the decoded samples of a measurement, [N, P, K] of that many samples N and tokens K, to [P, N, K], the order
// that brier.Estimator takes.
func ByPosition(tokens []int32, samples, k int) []int32 {
	positions := len(tokens) / (samples * k)
	out := make([]int32, len(tokens))
	for s := range samples {
		for p := range positions {
			copy(out[(p*samples+s)*k:][:k], tokens[(s*positions+p)*k:])
		}
	}
	return out
}
