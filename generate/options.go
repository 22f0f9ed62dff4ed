package generate

import (
	"fmt"
	"math"
)

// Sampler is a way to sample below temperature 1 from a model that can only draw (docs/spec.md, section 5). The baseline
// has logits and takes none.
type Sampler string

// The samplers.
const (
	// Prefix applies the temperature token by token, as ordinary language models do. It chooses from one pool of draws,
	// which biases it towards temperature 1. It is the default.
	Prefix Sampler = "prefix"
	// Batch applies the temperature to whole patches. It chooses from one pool of draws, which biases it towards
	// temperature 1.
	Batch Sampler = "batch"
	// Exact applies the temperature to whole patches, without bias. The number of draws is random, and often large. It
	// does not take Greedy.
	Exact Sampler = "exact"
)

// Samplers lists the samplers, the default first.
func Samplers() []Sampler { return []Sampler{Prefix, Batch, Exact} }

// ContextFull is what happens to a text that has filled the context.
type ContextFull string

// What can happen.
const (
	// Slide goes on: the model reads the newest half of the context again, with BOS in front of it, and writes on. A
	// prompt that is longer than the context keeps its end. It is the default.
	Slide ContextFull = "slide"
	// StopWhenFull ends the text, and refuses a prompt that is too long.
	StopWhenFull ContextFull = "stop"
)

// ContextFulls lists what can happen, the default first.
func ContextFulls() []ContextFull { return []ContextFull{Slide, StopWhenFull} }

// Greedy is the temperature 0 of Options, whose zero value is temperature 1: the most frequent token at each place, or the
// most frequent patch with the Batch sampler; of several the seed decides. The baseline writes the likeliest token.
const Greedy = math.SmallestNonzeroFloat64

// Options say how to write a text. Zero values are defaults: temperature 1, seed 0, at most as many tokens as the context
// has.
type Options struct {
	Temperature float64 // in (0, 1]; Greedy for 0, and 0 for 1
	// Sampler is used below temperature 1; "" stands for Prefix. The baseline takes none.
	Sampler Sampler
	// Draws is the number of draws a patch: of the pool with the prefix and batch samplers, at most with the exact one. It
	// is 1 to MaxDraws; 0 stands for 64 (prefix), 200 (batch) and 10,000 (exact). At temperature 1 a patch takes one. The
	// baseline takes none.
	Draws int
	Seed  uint64 // of all random numbers
	// MaxTokens is the number of tokens to write at most. 0 stands for Context with Slide, and for as many as the context
	// has room for with StopWhenFull.
	MaxTokens int
	// Context is how many tokens the model attends to at most, those that it writes included; whole patches count. It is
	// two patches or more, and at most what the model's configuration allows, which 0 stands for. Package calm takes the
	// block size that the run was trained on for 0. Beyond that size models write worse.
	Context int
	// ContextFull is what happens where prompt and text fill the context. "" stands for Slide.
	ContextFull ContextFull
	// StopTexts end the text where it contains one of them. They are not part of the text. Text that may be the beginning
	// of one is held back until that is certain. They are valid UTF-8 and not empty, and need a tokenizer.
	StopTexts []string
	// Tail is the end of a text that stood in front of another in training. Its last tokens fill up the first patch.
	// Where it is too short, newlines stand before it.
	Tail []int32
}

// MaxDraws bounds the draws of a patch, and with them the memory that a sampler takes.
const MaxDraws = 1_000_000

// Limit returns the temperature that the options stand for: 0 for Greedy, and 1 for the zero value.
func (o Options) Limit() float64 {
	switch o.Temperature {
	case Greedy:
		return 0
	case 0:
		return 1
	}
	return o.Temperature
}

// InputError says that the caller asked for something that cannot be done, such as a temperature out of range. (A patch
// that took too many draws is a *BudgetError instead.)
type InputError struct {
	Err error // what cannot be done
}

// Error says what cannot be done, and why.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *InputError) Unwrap() error { return e.Err }

func inputError(format string, args ...any) error {
	return &InputError{fmt.Errorf(format, args...)}
}

// BudgetError says that the exact sampler accepted no patch within its number of draws. What was written before it stands.
type BudgetError struct {
	Patch int     // the number of the patch among those written, from 1
	Draws int     // made for it
	T     float64 // the temperature, in (0, 1)
	err   error
}

// Error says at which patch, after how many draws, and what to do.
func (e *BudgetError) Error() string { return fmt.Sprintf("patch %d: %v", e.Patch, e.err) }

// Unwrap returns what the sampler said of the patch.
func (e *BudgetError) Unwrap() error { return e.err }
