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

// Network is what a run asks of its model: *autoencoder.Model, *lm.Model and *ar.Model implement it, each in its own
// package. A model that can write is a [generate.Model] besides.
type Network interface {
	// Vocabulary returns the tokens that the model knows.
	Vocabulary() tokenizer.Vocabulary
	// Layout returns how text is cut into blocks of that many tokens.
	Layout(block int) corpus.Layout
	// Initialize draws the parameters that have no values yet.
	Initialize(seed uint64)
	// Objective returns what training optimizes. A block size that does not fit is a *config.Error.
	Objective(c train.Config) (*train.Objective, error)
	// Evaluator compiles the measurement of blocks in the model's layout.
	Evaluator(e *cpu.Engine, blocks *corpus.Blocks, o eval.Options) (eval.Evaluator, error)
	// Unused lists the options that change nothing of what is measured.
	Unused(o eval.Options) []eval.Unused
	// Part names the part of the model that a parameter belongs to.
	Part(parameter string) string
	// Use describes, part by part, what the trained model runs for one patch: written in a context of that many
	// positions, or of an autoencoder, which has no context, encoded and decoded.
	Use(context int) []flops.Part
}

// Autoencoder returns the autoencoder that the model is or has inside; nil where there is none.
func (m *Model) Autoencoder() *autoencoder.Model {
	if n, ok := m.Network.(interface{ AE() *autoencoder.Model }); ok {
		return n.AE()
	}
	return nil
}

// Writes reports whether the model can write text: all but an autoencoder can.
func (m *Model) Writes() bool {
	_, ok := m.Network.(generate.Model)
	return ok
}
