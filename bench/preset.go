package bench

import (
	"fmt"
	"maps"
	"slices"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
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
	name  string
	kind  run.Kind
	train train.Config

	asIssue bool // it is a preset of issue 3, unchanged

	lmConfig run.LMConfig // of a language model, and what its autoencoder's run would have
	aeConfig run.AEConfig

	params *nn.Params
	ae     *autoencoder.Model
	lm     *lm.Model
	ar     *ar.Model
	vocab  int
}

// kindOf returns the kind of a preset's models: the one asked for, or the only one there is.
func kindOf(preset string, kind run.Kind) (run.Kind, error) {
	kinds := map[run.Kind]bool{}
	_, kinds[run.AE] = autoencoder.Presets()[preset]
	_, kinds[run.LM] = lm.Presets()[preset]
	_, kinds[run.AR] = ar.Presets()[preset]
	if kind != "" {
		if _, ok := kinds[kind]; !ok {
			return "", usage("--model %q: want ae, lm or ar", kind)
		}
		if !kinds[kind] {
			return "", usage("--preset %q: there is no such preset of kind %s: have %v", preset, kind, presetNames(kind))
		}
		return kind, nil
	}
	var found []run.Kind
	for k, ok := range kinds {
		if ok {
			found = append(found, k)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return "", usage("--preset %q: there is no such preset: have %v, %v and %v", preset, presetNames(run.AE), presetNames(run.LM), presetNames(run.AR))
	case 1:
		return found[0], nil
	}
	return "", usage("--preset %q: there are presets of kinds %v with that name: say which with --model", preset, found)
}

func presetNames(kind run.Kind) []string {
	switch kind {
	case run.AE:
		return slices.Sorted(maps.Keys(autoencoder.Presets()))
	case run.LM:
		return slices.Sorted(maps.Keys(lm.Presets()))
	}
	return slices.Sorted(maps.Keys(ar.Presets()))
}

// newModel composes preset and sets, and declares the parameters. With training it has the issue's shapes where the
// preset is one of the issue's.
func newModel(preset string, kind run.Kind, training bool, sets []string) (*model, error) {
	kind, err := kindOf(preset, kind)
	if err != nil {
		return nil, err
	}
	c := run.Common{Kind: kind, TrainConfig: train.Default()}
	c.WarmupSteps, c.BatchSize, c.BlockSize = 0, 4, 512
	m := &model{name: preset, kind: kind, params: nn.NewParams()}
	issue, known := issuePresets[preset]
	if known && training && issue.kind == kind {
		c.BatchSize, c.BlockSize = issue.batch, issue.tokens
	} else {
		issue = issuePreset{}
	}
	switch kind {
	case run.AE:
		err = m.composeAE(c, issue.vocab, sets)
	case run.LM:
		err = m.composeLM(c, issue.vocab, sets)
	default:
		err = m.composeAR(c, sets)
	}
	m.asIssue = issue.batch > 0 && len(sets) == 0
	return m, err
}

func (m *model) composeAE(c run.Common, vocab int, sets []string) error {
	a := autoencoder.Presets()[m.name]
	shrink(vocab, &a.VocabSize, &a.BOSTokenID, &a.EOSTokenID, &a.PadTokenID)
	full, err := config.Compose(run.AEConfig{Common: c, AutoencoderConfig: a}, "", sets)
	if err != nil {
		return err
	}
	m.train, m.vocab = full.TrainConfig, full.VocabSize
	m.ae = autoencoder.New(full.AutoencoderConfig, m.params, "")
	return nil
}

func (m *model) composeLM(c run.Common, vocab int, sets []string) error {
	l := lm.Presets()[m.name]
	a, err := autoencoderOf(l)
	if err != nil {
		return err
	}
	shrink(vocab, &l.VocabSize, &l.BOSTokenID, &l.EOSTokenID, &l.PadTokenID)
	full, err := config.Compose(run.LMConfig{Common: c, LanguageConfig: l}, "", sets)
	if err != nil {
		return err
	}
	// What the two share can be set once.
	a.PatchSize, a.LatentSize, a.VocabSize = full.PatchSize, full.LatentSize, full.VocabSize
	a.BOSTokenID, a.EOSTokenID, a.PadTokenID = full.BOSTokenID, full.EOSTokenID, full.PadTokenID
	if err := full.ValidateWith(a); err != nil {
		return err
	}
	m.train, m.vocab = full.TrainConfig, full.VocabSize
	m.lm = lm.New(full.LanguageConfig, a, m.params)
	c.Kind = run.AE
	m.lmConfig, m.aeConfig = full, run.AEConfig{Common: c, AutoencoderConfig: a}
	return nil
}

func (m *model) composeAR(c run.Common, sets []string) error {
	full, err := config.Compose(run.ARConfig{Common: c, BaselineConfig: ar.Presets()[m.name]}, "", sets)
	if err != nil {
		return err
	}
	m.train, m.vocab = full.TrainConfig, full.VocabSize
	m.ar = ar.New(full.BaselineConfig, m.params)
	return nil
}

// autoencoderOf returns the preset of an autoencoder that a language model goes with.
func autoencoderOf(c lm.Config) (autoencoder.Config, error) {
	all := autoencoder.Presets()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a := all[name]; c.ValidateWith(a) == nil {
			return a, nil
		}
	}
	return autoencoder.Config{}, fmt.Errorf("no preset of an autoencoder has patches of %d tokens of %d and %d latent dimensions", c.PatchSize, c.VocabSize, c.LatentSize)
}

// shrink gives a model another vocabulary, its special tokens the last ones.
func shrink(vocab int, size, bos, eos, pad *int) {
	if vocab > 0 {
		*size, *bos, *eos, *pad = vocab, vocab-3, vocab-2, vocab-1
	}
}

// randomize gives every parameter that has none its first values.
func (m *model) randomize() {
	if m.lm != nil {
		m.lm.Initialize(m.train.Seed)
		return
	}
	m.params.Initialize(m.train.Seed)
}

func (m *model) objective() (*train.Objective, error) {
	switch {
	case m.ae != nil:
		return train.Autoencoder(m.ae, m.train)
	case m.lm != nil:
		return train.LanguageModel(m.lm, m.train)
	}
	return train.Autoregressive(m.ar, m.train)
}

func (m *model) shape() string { return fmt.Sprintf("%dx%d", m.train.BatchSize, m.train.BlockSize) }
