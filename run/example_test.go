package run_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// Example trains an autoencoder and a language model on documents in memory. Both are measured on the documents held out of
// training.
func Example() {
	dir, err := os.MkdirTemp("", "calm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var texts []string // a real program may read them from a database
	words, rng := strings.Fields("the old ship sailed over a grey sea to the far island"), rand.New(rand.NewPCG(1, 2))
	for range 300 {
		rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		texts = append(texts, strings.Join(words, " ")+".")
	}
	documents := corpus.Texts(slices.Values(texts))
	eng := cpu.New(cpu.Options{}) // all processors
	defer eng.Close()
	small := []string{"hidden_size=32", "intermediate_size=64", "block_size=64", "warmup_steps=5", "learning_rate=0.003", "eval_steps=0"}

	autoencoder := run.Options{Kind: run.AE, Out: filepath.Join(dir, "ae"), Documents: documents, Steps: 800, Set: append(small, "ae_dropout=0")}
	metrics, err := trainAndMeasure(context.Background(), eng, autoencoder)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("accuracy is above 90 %%: %v\n", metric.Find(metrics, metric.Accuracy) > .9)

	model := run.Options{Kind: run.LM, Preset: "quickstart-flow", AE: autoencoder.Out, Out: filepath.Join(dir, "lm"), Documents: documents, Steps: 400,
		Set: append(small, "num_attention_heads=2", "num_key_value_heads=1")}
	metrics, err = trainAndMeasure(context.Background(), eng, model)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("Brier-1 is above 10: %v\n", metric.Find(metrics, metric.Brier(1)) > 10)
	// Output:
	// accuracy is above 90 %: true
	// Brier-1 is above 10: true
}

// trainAndMeasure makes a run and returns the metrics of its held-out documents.
func trainAndMeasure(ctx context.Context, eng *cpu.Engine, o run.Options) ([]metric.Metric, error) {
	t, err := run.Create(ctx, eng, o)
	if err != nil {
		return nil, err
	}
	_, err = t.Do(ctx) // when ctx ends, Do saves a checkpoint; run.Resume continues from it
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, err
	}
	r, err := t.Evaluate(ctx, eng, run.Evaluation{Documents: o.Documents})
	if err != nil {
		return nil, err
	}
	return r.Measured.Metrics(), nil
}
