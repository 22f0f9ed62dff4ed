package bench

import (
	"fmt"
	"maps"
	"slices"

	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// pyTorchPeak is the rate of multiply-adds on registers, in FLOP/s, of the machine that the times of pyTorchPresets were
// measured on.
const pyTorchPeak = 234e9

// pyTorchPreset is a training step whose time in PyTorch is known: 2.8 with the reference implementation, float32, on two
// Zen 4 cores. The times are constants, measured once and elsewhere. N = 8 and M = 100 are the presets' own.
type pyTorchPreset struct {
	kind          run.Kind
	vocab         int // 0 for the preset's
	batch, tokens int
	pyTorchMS     float64
	gflop         float64 // of the step, as counted there
}

var pyTorchPresets = map[string]pyTorchPreset{
	"ae-bytes":    {kind: run.AE, vocab: 257, batch: 8, tokens: 512, pyTorchMS: 72, gflop: 9.3},
	"lm-bytes":    {kind: run.LM, vocab: 257, batch: 4, tokens: 128, pyTorchMS: 48, gflop: 1.6},
	"ae-proto":    {kind: run.AE, batch: 16, tokens: 512, pyTorchMS: 867, gflop: 119},
	"lm-proto":    {kind: run.LM, batch: 8, tokens: 512, pyTorchMS: 770, gflop: 74},
	"ae-official": {kind: run.AE, batch: 2, tokens: 2048, pyTorchMS: 17490, gflop: 1749},
	"calm-m":      {kind: run.LM, batch: 1, tokens: 1024, pyTorchMS: 4970, gflop: 663},
}

// PyTorchPresets lists the presets whose times in PyTorch are known, the fastest first.
func PyTorchPresets() []string {
	return slices.SortedFunc(maps.Keys(pyTorchPresets), func(a, b string) int {
		return int(pyTorchPresets[a].pyTorchMS - pyTorchPresets[b].pyTorchMS)
	})
}

// model is a model to measure, with its configuration and no weights yet.
type model struct {
	*run.Model
	name      string
	asPyTorch bool // it is one of pyTorchPresets, unchanged
}

// newModel composes preset and sets, and declares the parameters. With training it has the shapes that
// PyTorch was measured with where it was.
func newModel(preset string, kind run.Kind, training bool, sets []string) (*model, error) {
	kind, err := run.KindOf(preset, kind)
	if err != nil {
		return nil, err
	}
	c := run.Common{Kind: kind, TrainConfig: train.Default()}
	c.WarmupSteps, c.BatchSize, c.BlockSize = 0, 4, 512
	m := &model{name: preset}
	if p, known := pyTorchPresets[preset]; known && training && p.kind == kind {
		c.BatchSize, c.BlockSize = p.batch, p.tokens
		m.asPyTorch = len(sets) == 0
		sets = append(vocabulary(p.vocab), sets...)
	}
	m.Model, err = run.ShapeWith(preset, c, training, sets)
	return m, err
}

// vocabulary sets another vocabulary, its special tokens the last ones; 0 leaves the preset's.
func vocabulary(size int) []string {
	if size == 0 {
		return nil
	}
	set := func(key string, value int) string { return fmt.Sprintf("%s=%d", key, value) }
	return []string{set("vocab_size", size), set("bos_token_id", size-3), set("eos_token_id", size-2), set("pad_token_id", size-1)}
}

// randomize gives every parameter that has none its first values.
func (m *model) randomize() {
	m.Network.Initialize(m.Seed)
}

func (m *model) shape() string { return fmt.Sprintf("%dx%d", m.BatchSize, m.BlockSize) }
