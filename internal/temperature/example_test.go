package temperature_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/calm-go/calm/internal/temperature"
)

// A coin that shows 1 with probability 3/4 shows it with probability 9/10 at T = 1/2, since 9:1 is the square of 3:1.
func ExampleExact() {
	noise := rand.New(rand.NewPCG(1, 2))
	coin := func(_, want int) ([]int32, error) {
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
		if _, err := sampler.Sample(patch, &temperature.Patches{K: 1, Make: coin}, decisions.Float64); err != nil {
			fmt.Println(err)
			return
		}
		ones += int(patch[0])
	}
	fmt.Printf("%.2f\n", float64(ones)/10_000)
	// Output: 0.90
}

// dice are draws of patches of two tokens. The first is 1 to 6, where larger numbers are more likely; the second is the
// first number again.
type dice struct{ rolled []int32 }

// Tokens decodes only what it is asked for.
func (d *dice) Tokens(dst []int32, draws []int, k int) error {
	for i, draw := range draws {
		if draw == len(d.rolled) { // a new draw, whose noise follows from its number alone
			noise := rand.New(rand.NewPCG(7, uint64(draw)))
			d.rolled = append(d.rolled, max(1+noise.Int32N(6), 1+noise.Int32N(6)))
		}
		dst[i] = d.rolled[draw]
		fmt.Printf("token %d of draw %d: %d\n", k, draw, dst[i])
	}
	return nil
}

// T = 0 takes the most frequent first token of five draws; here 5 and 6 are as frequent, and the uniform number decides.
// Second tokens are then decoded only of the draws that have it.
func ExamplePrefix() {
	sampler, err := temperature.NewPrefix(0, 2, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	patch := make([]int32, 2)
	if _, err := sampler.Sample(patch, new(dice), rand.New(rand.NewPCG(1, 2)).Float64); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(patch)
	// Output:
	// token 0 of draw 0: 2
	// token 0 of draw 1: 5
	// token 0 of draw 2: 6
	// token 0 of draw 3: 6
	// token 0 of draw 4: 5
	// token 1 of draw 2: 6
	// token 1 of draw 3: 6
	// [6 6]
}
