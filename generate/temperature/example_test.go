package temperature_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/calm-go/calm/generate/temperature"
)

// A coin that shows 1 with probability 3/4 shows it with probability 9/10 at
// T = 1/2, since 9:1 is the square of 3:1.
func ExampleExact() {
	noise := rand.New(rand.NewPCG(1, 2))
	coin := func(first, want int) ([]int32, error) {
		patches := make([]int32, want)
		for i := range patches {
			if noise.Float64() < .75 {
				patches[i] = 1
			}
		}
		return patches, nil
	}
	sampler, err := temperature.NewExact(.5, 1, temperature.DefaultBudget)
	if err != nil {
		fmt.Println(err)
		return
	}
	decisions := rand.New(rand.NewPCG(3, 4))
	ones, patch := 0, make([]int32, 1)
	for range 10_000 {
		if _, err := sampler.Sample(patch, coin, decisions.Float64); err != nil {
			fmt.Println(err)
			return
		}
		ones += int(patch[0])
	}
	fmt.Printf("%.2f\n", float64(ones)/10_000)
	// Output: 0.90
}
