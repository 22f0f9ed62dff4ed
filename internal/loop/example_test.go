package loop_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"strings"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/loop"
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

// This trains an autoencoder on documents in memory, without a run directory, and prints its progress.
func Example() {
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
	l := loop.Loop{Trainer: trainer, Batches: batches, Data: text.Fingerprint()}
	l.Progress = func(e train.Event) {
		if e.Kind == train.EventStep && e.Step%10 == 0 {
			fmt.Printf("step %d of %d\n", e.Step, e.Total)
		}
	}
	out, err := l.Do(ctx) // Run keeps checkpoints and metrics, Evaluate measures
	fmt.Println(out.Steps, out.Finished, err)
	// Output:
	// step 10 of 20
	// step 20 of 20
	// 20 true <nil>
}
