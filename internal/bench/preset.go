package bench

import (
	"fmt"

	"github.com/calm-go/calm/run"
)

// trainPreset is a training step to measure: a preset of package autoencoder or lm, and the size of its batch.
// recipes/peer/presets.json has the same steps for other programs.
type trainPreset struct {
	name   string
	kind   run.Kind
	vocab  int // size of the vocabulary; 0 for the preset's
	batch  int // rows of a batch
	tokens int // tokens of a row
}

// trainPresets lists the presets with a fixed size of the batch, from the least work to the most.
var trainPresets = []trainPreset{
	{name: "lm-bytes", kind: run.LM, vocab: 257, batch: 4, tokens: 128},
	{name: "ae-bytes", kind: run.AE, vocab: 257, batch: 8, tokens: 512},
	{name: "lm-proto", kind: run.LM, batch: 8, tokens: 512},
	{name: "ae-proto", kind: run.AE, batch: 16, tokens: 512},
	{name: "calm-m", kind: run.LM, batch: 1, tokens: 1024},
	{name: "ae-official", kind: run.AE, batch: 2, tokens: 2048},
}

// TrainPresets lists the presets whose batches have a fixed size in Train, from the least work to the most.
func TrainPresets() []string {
	var names []string
	for _, p := range trainPresets {
		names = append(names, p.name)
	}
	return names
}

// model is a model to measure, with its configuration. It has no weights yet.
type model struct {
	*run.Model
	name string
}

// newModel returns the model of a preset changed by assignments. With training, a preset of trainPresets has its batch from
// there.
func newModel(preset string, kind run.Kind, training bool, sets []string) (*model, error) {
	own := []string{"warmup_steps=0", "batch_size=4", "block_size=512"}
	for _, p := range trainPresets {
		if training && p.name == preset && (p.kind == kind || kind == "") {
			own = append(vocabulary(p.vocab), "warmup_steps=0", assign("batch_size", p.batch), assign("block_size", p.tokens))
		}
	}
	m, err := run.Shape(preset, kind, training, append(own, sets...))
	return &model{m, preset}, err
}

// vocabulary returns assignments for a vocabulary whose last tokens are the special ones. Size 0 keeps the preset's vocabulary.
func vocabulary(size int) []string {
	if size == 0 {
		return nil
	}
	return []string{assign("vocab_size", size), assign("bos_token_id", size-3), assign("eos_token_id", size-2), assign("pad_token_id", size-1)}
}

func assign(key string, value int) string { return fmt.Sprintf("%s=%d", key, value) }

// randomize initializes the parameters.
func (m *model) randomize() {
	m.Network.Initialize(m.Seed)
}

func (m *model) shape() string { return fmt.Sprintf("%dx%d", m.BatchSize, m.BlockSize) }
