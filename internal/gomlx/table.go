package gomlx

import (
	"fmt"
	"reflect"

	"github.com/calm-go/calm/nn"
)

// operations has the translation of every operation of package nn, one line each, or the reason why there is none.
var operations = table(
	op((*translator).argMax),
	op((*translator).attention),
	none[*nn.CachedAttention]("it writes a cache that outlives the run; a graph of GoMLX has no such memory"),
	op((*translator).categorical),
	op((*translator).clampedKL),
	op((*translator).crossEntropy),
	op((*translator).diffusionLoss),
	op((*translator).embedding),
	op((*translator).energyScore),
	op((*translator).flowLoss),
	op((*translator).gatedAdd),
	op((*translator).layerNorm),
	op((*translator).linear),
	op((*translator).meanSquaredError),
	op((*translator).modulate),
	op((*translator).mul),
	op((*translator).noisyTarget),
	op((*translator).prefixAttention),
	op((*translator).reparameterize),
	op((*translator).rmsNorm),
	op((*translator).rotary),
	op((*translator).sinusoidalEmbedding),
	op((*translator).swiGLU),
	op((*translator).tokenMask),
	op((*translator).weightedSum),
)

// entry is a line of the table.
type entry struct {
	of        reflect.Type
	translate func(tr *translator, o nn.Op) // nil for none
	reason    string                        // why there is none
}

// op is the entry of the operation that f translates.
func op[T nn.Op](f func(tr *translator, o T)) entry {
	return entry{of: reflect.TypeFor[T](), translate: func(tr *translator, o nn.Op) { f(tr, o.(T)) }}
}

// none is the entry of an operation that the engine leaves out.
func none[T nn.Op](reason string) entry { return entry{of: reflect.TypeFor[T](), reason: reason} }

func table(entries ...entry) map[reflect.Type]entry {
	t := make(map[reflect.Type]entry, len(entries))
	for _, e := range entries {
		t[e.of] = e
	}
	return t
}

// translates returns an error that says why there is no translation of an operation, nil if there is one.
func translates(o nn.Op) error {
	e, ok := operations[reflect.TypeOf(o)]
	switch {
	case !ok:
		return fmt.Errorf("gomlx: nn.%s has no translation: add one to the table in internal/gomlx/table.go", nn.OpName(o))
	case e.translate == nil:
		return fmt.Errorf("gomlx: nn.%s has no translation: %s", nn.OpName(o), e.reason)
	}
	return nil
}

// op translates an operation of which there is a translation.
func (tr *translator) op(o nn.Op) { operations[reflect.TypeOf(o)].translate(tr, o) }
