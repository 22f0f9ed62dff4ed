package bench

import (
	"fmt"
	"maps"
	"slices"

	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// Figures of issue 3: PyTorch 2.8 with the reference implementation, f32, on two Zen 4 cores. They are constants to
// compare with, measured elsewhere by somebody else.
const pyTorchPeak = 234e9 // FLOP/s of multiply-adds on registers there

// issuePreset is a training step whose time in PyTorch the issue gives. N = 8 and M = 100 are the presets' own.
type issuePreset struct {
	kind          run.Kind
	vocab         int // 0 for the preset's
	batch, tokens int
	pyTorchMS     float64
	gflop         float64 // of the model, as the issue counts
}

var issuePresets = map[string]issuePreset{
	"ae-bytes":    {kind: run.AE, vocab: 257, batch: 8, tokens: 512, pyTorchMS: 72, gflop: 9.3},
	"lm-bytes":    {kind: run.LM, vocab: 257, batch: 4, tokens: 128, pyTorchMS: 48, gflop: 1.6},
	"ae-proto":    {kind: run.AE, batch: 16, tokens: 512, pyTorchMS: 867, gflop: 119},
	"lm-proto":    {kind: run.LM, batch: 8, tokens: 512, pyTorchMS: 770, gflop: 74},
	"ae-official": {kind: run.AE, batch: 2, tokens: 2048, pyTorchMS: 17490, gflop: 1749},
	"calm-m":      {kind: run.LM, batch: 1, tokens: 1024, pyTorchMS: 4970, gflop: 663},
}

// IssuePresets lists the presets that PyTorch's times are known for, the fastest first.
func IssuePresets() []string {
	return slices.SortedFunc(maps.Keys(issuePresets), func(a, b string) int {
		return int(issuePresets[a].pyTorchMS - issuePresets[b].pyTorchMS)
	})
}

// model is a model to measure, with its configuration and no weights yet.
type model struct {
	*run.Model
	name    string
	asIssue bool // it is a preset of issue 3, unchanged
}

// newModel composes preset and sets, and declares the parameters. With training it has the issue's shapes where the
// preset is one of the issue's.
func newModel(preset string, kind run.Kind, training bool, sets []string) (*model, error) {
	kind, err := run.KindOf(preset, kind)
	if err != nil {
		return nil, err
	}
	c := run.Common{Kind: kind, TrainConfig: train.Default()}
	c.WarmupSteps, c.BatchSize, c.BlockSize = 0, 4, 512
	m := &model{name: preset}
	if issue, known := issuePresets[preset]; known && training && issue.kind == kind {
		c.BatchSize, c.BlockSize = issue.batch, issue.tokens
		m.asIssue = len(sets) == 0
		sets = append(vocabulary(issue.vocab), sets...)
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
