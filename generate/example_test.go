package generate_test

import (
	"context"
	"fmt"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Example writes ids with a language model that has learned nothing. A program that opens a run uses package calm, which
// also has text.
func Example() {
	m := lm.New(lm.Presets()["lm-bytes"], autoencoder.Presets()["ae-bytes"], nn.NewParams())
	m.Initialize(1)
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	g, err := generate.New(eng, m, nil, nil) // no tokenizer: ids alone
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	text, err := g.Text([]int32{67, 97, 108, 108}, generate.Options{MaxTokens: 10, Temperature: .5})
	if err != nil {
		fmt.Println(err) // a prompt too long, say
		return
	}
	for chunk, err := range text.Chunks(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("a patch of", len(chunk.Tokens), "tokens")
	}
	r := text.Result()
	fmt.Println(r.Tokens, "tokens:", r.Stop)
	// Output:
	// a patch of 4 tokens
	// a patch of 4 tokens
	// a patch of 2 tokens
	// 10 tokens: max tokens
}
