package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calm-go/calm/internal/plural"
)

// A Problem is one thing wrong with one key of a configuration.
type Problem struct {
	Where string // place of the value: file:line or "--set"; "" where the value is a default
	Key   string // "" where the problem is not with one key
	Value string // as written; "" where the key itself is the problem
	Want  string // what would be right, as in "want 1 to 8"
}

// String returns the problem as one line, "Where: Key = Value: Want".
func (p Problem) String() string {
	var b strings.Builder
	if p.Where != "" {
		b.WriteString(p.Where + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key)
		if p.Value != "" {
			b.WriteString(" = " + p.Value)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Want)
	return b.String()
}

// Error lists everything that is wrong with a configuration. It is a mistake in the user's input: commands end with exit
// status 2 on it.
type Error struct {
	Problems []Problem // at least one
}

// Error returns the problem, or where there are several a heading and one problem a line. Of very many it names the first ones and
// the number of the rest.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	return fmt.Sprintf("%d problems in the configuration:\n  ", len(e.Problems)) + strings.Join(plural.Lines(e.Problems, Problem.String), "\n  ")
}

// Problems collects the problems of a configuration, to report them together. The zero value is ready for use.
//
//	func (c Config) Validate() error {
//		var p config.Problems
//		config.Within(&p, "hidden_size", c.HiddenSize, 1, config.MaxWidth)
//		p.Check(c.HiddenSize%c.Heads == 0, "num_attention_heads", c.Heads, "want a divisor of hidden_size")
//		return p.Err()
//	}
type Problems struct {
	list []Problem
}

// Add records a problem: key has a wrong value, and want says what would be right.
func (p *Problems) Add(key string, value any, want string) {
	p.list = append(p.list, Problem{Key: key, Value: show(value), Want: want})
}

// Check does nothing if ok, and calls Add otherwise.
func (p *Problems) Check(ok bool, key string, value any, want string) {
	if !ok {
		p.Add(key, value, want)
	}
}

// Join adds the problems of another validation, such as an embedded struct's. An error that is not an *Error becomes one
// problem. Nil adds nothing.
func (p *Problems) Join(err error) {
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*Error](err); ok {
		p.list = append(p.list, e.Problems...)
		return
	}
	p.list = append(p.list, Problem{Want: err.Error()})
}

// Err returns an *Error with the problems recorded so far, or nil where there are none.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: slices.Clone(p.list)}
}

// Upper bounds of sizes and weights. They catch typos: every real model is far below them. They are low enough that the
// product of a few of them does not overflow.
const (
	MaxWidth  = 1 << 17 // width of a layer or of a latent vector
	MaxLayers = 1000    // number of layers
	MaxPatch  = 64      // tokens of a patch (K)
	MaxTokens = 1 << 24 // tokens of a vocabulary, a context or a batch
	MaxWeight = 1e6     // weight of a term of the loss; also the largest learning rate
)

// Positive records a problem unless 0 < v <= hi. NaN is a problem.
func Positive(p *Problems, key string, v, hi float64) {
	p.Check(v > 0 && v <= hi, key, v, fmt.Sprintf("want more than 0, at most %v", hi))
}

// Within records a problem unless lo <= v <= hi. NaN is a problem.
func Within[N cmp.Ordered](p *Problems, key string, v, lo, hi N) {
	p.Check(v >= lo && v <= hi, key, v, fmt.Sprintf("want %v to %v", lo, hi))
}

// Same records a problem unless v equals want, the value that another part of the same run has. whose names that part, as in
// "the autoencoder".
func Same(p *Problems, key string, v, want int, whose string) {
	p.Check(v == want, key, v, fmt.Sprintf("want %d, as %s has", want, whose))
}

// OneOf records a problem unless v is one of the allowed values. The problem suggests the one that was probably meant.
func OneOf(p *Problems, key, v string, allowed ...string) {
	if slices.Contains(allowed, v) {
		return
	}
	want := "want one of " + strings.Join(allowed, ", ")
	if near := Nearest(v, allowed); near != "" {
		want += fmt.Sprintf("; did you mean %q?", near)
	}
	p.Add(key, v, want)
}

// show formats a value as in a configuration file.
func show(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

// Token records a problem unless id is a token of a vocabulary of vocab tokens: 0 <= id < vocab.
func Token(p *Problems, key string, id, vocab int) {
	p.Check(id >= 0 && id < vocab, key, id, fmt.Sprintf("want a token, 0 to vocab_size-1 = %d", vocab-1))
}
