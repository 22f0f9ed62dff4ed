package calm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// song is the training text of examples and tests. Its lines have all lengths modulo 4, so the autoencoder sees each word at
// every position of a patch.
func song() string {
	var b strings.Builder
	for i := range 60 {
		b.WriteString("Call me Ishmael. Some years ago, never mind how long precisely." + strings.Repeat("\n", 1+i%4))
	}
	return b.String()
}

var (
	tinySizes  = []string{"hidden_size=32", "intermediate_size=48", "block_size=32", "batch_size=4", "eval_blocks=1", "warmup_steps=2", "save_steps=0", "eval_steps=0"}
	tinyLayers = []string{"num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1"}
)

// trainTiny trains a run on the song.
func trainTiny(o run.Options) error {
	file := filepath.Join(filepath.Dir(o.Out), "song.txt")
	if err := os.WriteFile(file, []byte(song()), 0o666); err != nil {
		return err
	}
	o.Data = []string{file}
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	t, err := run.Create(context.Background(), eng, o)
	if err != nil {
		return err
	}
	_, err = t.Do(context.Background())
	return errors.Join(err, t.Close())
}

// exampleRuns trains an autoencoder and a language model on the first call. All examples share them.
var exampleRuns = sync.OnceValues(func() (struct{ dir, ae, lm string }, error) {
	dir, err := os.MkdirTemp("", "calm-example")
	r := struct{ dir, ae, lm string }{dir, filepath.Join(dir, "ae"), filepath.Join(dir, "lm")}
	err = errors.Join(err, trainTiny(run.Options{Kind: run.AE, Out: r.ae, Steps: 1000,
		Set: append([]string{"latent_size=12", "learning_rate=0.005", "ae_dropout=0"}, tinySizes...)}))
	err = errors.Join(err, trainTiny(run.Options{Kind: run.LM, Out: r.lm, AE: r.ae, Steps: 100,
		Set: append([]string{"noise_size=8", "target_samples=8", "learning_rate=0.01"}, append(tinySizes, tinyLayers...)...)}))
	return r, err
})

// exampleRun returns the directory of the examples' language model.
func exampleRun() string {
	r, err := exampleRuns()
	if err != nil {
		panic(err)
	}
	return r.lm
}

func ExampleOpen() {
	m, err := calm.Open(exampleRun()) // a directory made by `calm train lm` or `calm quickstart`
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	fmt.Println(m.Tokenizer().VocabSize(), "tokens")
	// Output: 259 tokens
}

func ExampleModel_Generate() {
	m, err := calm.Open(exampleRun())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	var b strings.Builder
	for text, err := range m.Generate(context.Background(), "Call me ", calm.Options{MaxTokens: 12}).Text() {
		if err != nil {
			fmt.Println(err) // the text before the error is valid
			break
		}
		b.WriteString(text)
	}
	fmt.Println(b.Len() > 0)
	// Output: true
}

func ExampleGeneration_Result() {
	m, err := calm.Open(exampleRun())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	g := m.Generate(context.Background(), "Call me ", calm.Options{MaxTokens: 8})
	for _, err := range g.Text() {
		if err != nil {
			fmt.Println(err)
		}
	}
	r := g.Result()
	fmt.Println(r.Tokens, "tokens in", r.Patches, "patches:", r.Stop)
	// Output: 8 tokens in 2 patches: max tokens
}

// A text may be longer than the context that the model was trained on, and end before a text of your choice.
func ExampleModel_Generate_long() {
	m, err := calm.Open(exampleRun()) // trained on blocks of 32 tokens
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	g := m.Generate(context.Background(), "Call me ", calm.Options{MaxTokens: 100, StopTexts: []string{"THE END"}})
	for _, err := range g.Text() {
		if err != nil {
			fmt.Println(err)
		}
	}
	r := g.Result()
	fmt.Println(r.Tokens, "tokens:", r.Stop)
	fmt.Println("the context was full", r.Slides, "times")
	// Output:
	// 100 tokens: max tokens
	// the context was full 5 times
}

func ExampleModel_Encode() {
	m, err := calm.Open(exampleRun())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	latents, err := m.Encode("Call me Ishmael.") // 16 bytes, 4 in each patch
	fmt.Println(len(latents), "vectors of", len(latents[0]), err)
	// Output: 4 vectors of 12 <nil>
}

func ExampleModel_Decode() {
	m, err := calm.Open(exampleRun())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	latents, err := m.Encode("Call me Ishmael.")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := m.Decode(latents)
	fmt.Println(text, err)
	// Output: Call me Ishmael. <nil>
}
