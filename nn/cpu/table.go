package cpu

import (
	"fmt"
	"reflect"

	"github.com/calm-go/calm/nn"
)

// operations has the implementation of every operation of package nn, one line each.
var operations = table(
	op(newArgMax),
	op(newAttention),
	op(newCachedAttention),
	op(newCategorical),
	op(newClampedKL),
	op(newCrossEntropy),
	op(newDiffusionLoss),
	op(newEmbedding),
	op(newEnergyScore),
	op(newFlowLoss),
	op(newGatedAdd),
	op(newLayerNorm),
	op(newLinear),
	op(newMeanSquaredError),
	op(newModulate),
	op(newMul),
	op(newNoisyTarget),
	op(newPrefixAttention),
	op(newReparameterize),
	op(newRMSNorm),
	op(newRotary),
	op(newSinusoidalEmbedding),
	op(newSwiGLU),
	op(newTokenMask),
	op(newWeightedSum),
)

// constructor compiles an operation: it declares the buffers that the operation touches, and returns its step.
type constructor func(c *compiler, o nn.Op) step

// entry is a line of the table.
type entry struct {
	of  reflect.Type
	new constructor
}

// op is the entry of the operation that f compiles.
func op[T nn.Op](f func(c *compiler, o T) step) entry {
	return entry{reflect.TypeFor[T](), func(c *compiler, o nn.Op) step { return f(c, o.(T)) }}
}

func table(entries ...entry) map[reflect.Type]constructor {
	t := make(map[reflect.Type]constructor, len(entries))
	for _, e := range entries {
		t[e.of] = e.new
	}
	return t
}

func (c *compiler) compileOp(o nn.Op) step {
	f := operations[reflect.TypeOf(o)]
	if f == nil {
		panic(fmt.Sprintf("cpu: nn.%s has no implementation: add one to the table in nn/cpu/table.go", nn.OpName(o)))
	}
	return f(c, o)
}
