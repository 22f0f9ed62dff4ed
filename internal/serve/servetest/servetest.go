// Package servetest makes runs for tests of servers.
package servetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// Runs are directories with a tiny run of each kind.
type Runs struct{ Dir, AE, LM, AR string }

// Song is a sentence without characters of more than one byte.
const Song = "Call me a whale, and I shall sing of the sea. "

// Train trains runs in a directory, on a sentence that is said again and again. It takes about a second.
func Train(dir, sentence string) (Runs, error) {
	r := Runs{dir, filepath.Join(dir, "ae"), filepath.Join(dir, "lm"), filepath.Join(dir, "ar")}
	text := filepath.Join(dir, "song.txt")
	err := os.WriteFile(text, []byte(strings.Repeat(sentence, 200)), 0o666)
	sizes := []string{"hidden_size=32", "intermediate_size=48", "block_size=64", "batch_size=4", "eval_blocks=1", "warmup_steps=2", "save_steps=0", "eval_steps=0", "learning_rate=0.01"}
	layers := append([]string{"num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1"}, sizes...)
	for _, o := range []run.Options{
		{Kind: run.AE, Out: r.AE, Steps: 300, Set: append([]string{"latent_size=8"}, sizes...)},
		{Kind: run.LM, Out: r.LM, AE: r.AE, Steps: 60, Set: append([]string{"noise_size=6", "target_samples=4", "num_samples=2"}, layers...)},
		{Kind: run.AR, Out: r.AR, Steps: 30, Set: layers},
	} {
		o.Data = []string{text}
		if err == nil {
			err = TrainRun(o)
		}
	}
	return r, err
}

// TrainRun creates a run and trains it to its end, on one thread.
func TrainRun(o run.Options) error {
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	t, err := run.Create(context.Background(), eng, o)
	if err != nil {
		return err
	}
	_, err = t.Do(context.Background())
	return errors.Join(err, t.Close())
}
