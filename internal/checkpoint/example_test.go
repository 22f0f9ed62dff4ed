package checkpoint_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/calm-go/calm/internal/checkpoint"
)

// This makes a run, trains it for a while, interrupts it, and resumes it.
func ExampleRun() {
	parent, err := os.MkdirTemp("", "calm")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "run")

	run, err := checkpoint.CreateRun(dir)
	if err != nil {
		log.Fatal(err)
	}
	type model struct {
		HiddenSize int `json:"hidden_size"`
	}
	if err := run.WriteConfig(model{2}); err != nil {
		log.Fatal(err)
	}
	type trainer struct {
		Seed uint64 `json:"seed"`
	}
	for step := 1; step <= 3; step++ {
		err := errors.Join(run.AppendMetrics(map[string]int{"step": step}), run.Save(step, checkpoint.State{
			Model:   []checkpoint.Tensor{{Name: "norm.weight", Shape: []int{2}, Data: []float32{1, float32(step)}}},
			Trainer: trainer{Seed: 7},
		}))
		if err != nil {
			log.Fatal(err)
		}
	}
	run.Close()

	run, err = checkpoint.ResumeRun(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer run.Close()
	saved, err := run.Latest() // errors.Is(err, checkpoint.ErrNoCheckpoint): begin at step 0, TrimMetrics(-1)
	if err != nil {
		log.Fatal(err)
	}
	defer saved.Close()
	if _, err := run.TrimMetrics(saved.Step); err != nil {
		log.Fatal(err)
	}
	var t trainer
	if err := saved.Trainer(&t); err != nil {
		log.Fatal(err)
	}
	weights, err := saved.Model.Float32s("norm.weight")
	fmt.Println(saved.Step, t.Seed, weights, err)
	// Output: 3 7 [1 3] <nil>
}
