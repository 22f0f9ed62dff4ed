package brier_test

import (
	"fmt"

	"github.com/calm-go/calm/eval/brier"
)

// This scores two positions of a block from two samples each. At the first
// position both samples are right; at the second one is, in three of four tokens.
func Example() {
	samples := []int32{
		1, 2, 3, 4, 1, 2, 3, 4,
		5, 6, 7, 9, 8, 8, 8, 8,
	}
	targets := []int32{
		1, 2, 3, 4,
		5, 6, 7, 8,
	}
	estimator, err := brier.NewEstimator(2, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	var scores brier.Accumulator
	estimator.Add(&scores, 0, samples, targets)
	result := scores.Result(1)
	fmt.Printf("Brier-1..4 %v, BrierLM %.1f\n", result.Brier, result.BrierLM)
	fmt.Printf("knows nothing: %.1f\n", brier.Uniform(10).Result().BrierLM)
	// Output:
	// Brier-1..4 [100 100 100 50], BrierLM 84.1
	// knows nothing: 0.3
}
