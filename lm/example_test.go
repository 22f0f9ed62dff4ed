package lm_test

import (
	"fmt"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// A model is a set of parameters and the graphs over them. Here the smallest preset makes a training step, reads a
// prompt and draws the next patch. Its weights are untrained, so the text would be noise. Package run trains, saves and
// opens models; package generate writes text with them.
func Example() {
	params := nn.NewParams()
	model := lm.New(lm.Presets()["lm-bytes"], autoencoder.Presets()["ae-bytes"], params)
	model.Initialize(1)
	engine := cpu.New(cpu.Options{Threads: 1})
	defer engine.Close()
	text := []int32("Call me Ishmael.") // 4 patches of 4 tokens; the token of a byte is its value

	// A training step on one row of 16 tokens: the loss and its gradients.
	training := model.Training(1, len(text))
	step := engine.Compile(training.Graph, cpu.Training)
	if err := training.Fill(step, text, nil); err != nil {
		fmt.Println(err)
		return
	}
	step.SetDraws(1, 0) // seed and step
	if err := step.Step(false); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("hidden states:", training.Hidden.Shape())
	fmt.Println("samples of the energy head:", training.Head.Samples.Shape())

	// A session reads the text; a sampler draws the next patch from its last hidden state, twice.
	session := model.NewSession(engine, 1, 8)
	if err := session.Append(text); err != nil {
		fmt.Println(err)
		return
	}
	tokens, err := model.NewSampler(engine, 1, 2).Draw(session.Hidden(), 1, 0)
	fmt.Println("patches read:", session.Len())
	fmt.Println("tokens drawn:", len(tokens), err)
	// Output:
	// hidden states: [1 3 128]
	// samples of the energy head: [8 3 64]
	// patches read: 4
	// tokens drawn: 8 <nil>
}

// The parameters of a published model, by part. Nothing is allocated until Initialize.
func ExampleModel_Part() {
	params := nn.NewParams()
	model := lm.New(lm.Default(), autoencoder.Default(), params)
	count := map[string]int{}
	for _, p := range params.All() {
		count[model.Part(p.Name)] += p.Size()
	}
	for _, part := range []string{"embeddings", "input", "backbone", "head", "autoencoder"} {
		fmt.Printf("%-11s %6.1fM\n", part, float64(count[part])/1e6)
	}
	// Output:
	// embeddings   131.3M
	// input         10.5M
	// backbone     202.4M
	// head          27.5M
	// autoencoder   75.8M
}
