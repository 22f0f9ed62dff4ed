package interchange_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/calm-go/calm/internal/interchange"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// This trains a run, exports it to the reference's format, and imports it again.
func ExampleExport() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "calm")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	trained, exported, back := filepath.Join(dir, "ae"), filepath.Join(dir, "exported"), filepath.Join(dir, "back")

	eng := cpu.New(cpu.Options{})
	defer eng.Close()
	t, err := run.Create(ctx, eng, run.Options{Kind: run.AE, Out: trained, Steps: 2,
		Set: []string{"hidden_size=16", "intermediate_size=24", "latent_size=8", "batch_size=2", "block_size=32", "eval_blocks=1"}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := t.Do(ctx); err != nil {
		log.Fatal(err)
	}
	if err := t.Close(); err != nil {
		log.Fatal(err)
	}

	out, err := interchange.Export(ctx, trained, exported, "bfloat16")
	if err != nil {
		log.Fatal(err)
	}
	in, err := interchange.Import(ctx, exported, back, interchange.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Model, "of kind", in.Kind, "in", in.Formats)
	fmt.Println(in.Parameters == out.Parameters)
	// Output:
	// Autoencoder of kind ae in map[bfloat16:11392]
	// true
}
