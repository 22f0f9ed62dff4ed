package train_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// documents returns 40 short documents in memory.
func documents() iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for i := range 40 {
			text := strings.Repeat(fmt.Sprintf("the whale swam round the ship %d times. ", i), 5)
			if !yield(corpus.Document{Text: []byte(text), Source: fmt.Sprint("story ", i)}, nil) {
				return
			}
		}
	}
}

// This trains an autoencoder on documents in memory, step by step. Package run trains whole runs, with measurements and
// checkpoints.
func ExampleTrainer() {
	ctx := context.Background()
	text, err := corpus.Tokenize(ctx, documents(), tokenizer.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	defer text.Close()

	m := autoencoder.New(testkit.TinyAutoencoder(), nn.NewParams(), "")
	m.Params.Initialize(1)
	c := train.Default()
	c.MaxSteps, c.WarmupSteps, c.BatchSize, c.BlockSize = 20, 2, 2, 16
	objective, err := m.Objective(c)
	if err != nil {
		log.Fatal(err)
	}
	blocks, err := text.Train().Blocks(objective.Layout)
	if err != nil {
		log.Fatal(err)
	}
	batches, err := blocks.Shuffled(c.Seed, c.BatchSize)
	if err != nil {
		log.Fatal(err)
	}
	eng := cpu.New(cpu.Options{})
	defer eng.Close()
	trainer, err := train.New(eng, objective, c)
	if err != nil {
		log.Fatal(err)
	}
	for range c.MaxSteps {
		r, err := trainer.Step(c.MaxSteps, batches.Next)
		if err != nil {
			log.Fatal(err)
		}
		if r.Step%10 == 0 {
			fmt.Printf("step %d of %d, learning rate %g\n", r.Step, c.MaxSteps, r.LearningRate)
		}
	}
	// Output:
	// step 10 of 20, learning rate 0.0003
	// step 20 of 20, learning rate 0.0003
}

// This reads a run's metrics line by line. The run may be training meanwhile: the last line is incomplete here.
func ExampleReadMetrics() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	metrics := `{"kind":"step","step":10,"loss":2.5,"learning_rate":0.001}
{"kind":"measured","step":10,"cross_entropy":2.75}
{"kind":"step","step":20,"lo`
	if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(metrics), 0o666); err != nil {
		log.Fatal(err)
	}
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			log.Fatal(err)
		}
		switch line.Kind {
		case train.EventStep:
			fmt.Printf("step %d: loss %g\n", line.Step, line.Values["loss"])
		case train.EventMeasured:
			fmt.Printf("step %d: cross entropy %g on held-out text\n", line.Step, line.Values["cross_entropy"])
		}
	}
	// Output:
	// step 10: loss 2.5
	// step 10: cross entropy 2.75 on held-out text
}

func ExampleConfig_LearningRateAt() {
	c := train.Default()
	c.LearningRate, c.WarmupSteps, c.LRSchedulerType, c.DecayFraction = 1, 4, train.WarmupStableDecay, .25
	for _, step := range []int{1, 2, 5, 16, 17, 20} {
		fmt.Printf("step %d: %.2f\n", step, c.LearningRateAt(step, 20))
	}
	// Output:
	// step 1: 0.00
	// step 2: 0.25
	// step 5: 1.00
	// step 16: 1.00
	// step 17: 0.80
	// step 20: 0.20
}
