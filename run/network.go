package run

import (
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Network is what package run needs of a model. *autoencoder.Model, *lm.Model and *ar.Model implement it. A model that can
// write also implements [generate.Model].
type Network interface {
	// Vocabulary returns the vocabulary of the model: its size and its special tokens.
	Vocabulary() tokenizer.Vocabulary
	// Layout returns how text is cut into blocks of block tokens.
	Layout(block int) corpus.Layout
	// Initialize draws random values for the parameters that have none yet.
	Initialize(seed uint64)
	// Objective returns the objective that training optimizes. A block size that does not fit the model is a *config.Error.
	Objective(c train.Config) (*train.Objective, error)
	// Evaluator compiles the measurement of blocks, which must have the model's layout.
	Evaluator(e *cpu.Engine, blocks *corpus.Blocks, o eval.Options) (eval.Evaluator, error)
	// Unused lists the options that have no effect on the model's measurement.
	Unused(o eval.Options) []eval.Unused
	// Part returns the name of the part of the model that a parameter belongs to.
	Part(parameter string) string
	// Use returns the parts of the trained model with the programs that each runs for one patch: to generate it in a
	// context of so many positions, or with an autoencoder, which has no context, to encode and decode it.
	Use(context int) []flops.Part
}

// Autoencoder returns the autoencoder of the run: its model, or the one inside a language model. It returns nil for a
// token-level baseline.
func (m *Model) Autoencoder() *autoencoder.Model {
	if n, ok := m.Network.(interface{ AE() *autoencoder.Model }); ok {
		return n.AE()
	}
	return nil
}

// Writes reports whether the model can write text. Autoencoders cannot.
func (m *Model) Writes() bool {
	_, ok := m.Network.(generate.Model)
	return ok
}
