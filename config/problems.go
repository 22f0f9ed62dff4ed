package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing wrong with one key of a configuration.
type Problem struct {
	Where string // file:line or "--set"; empty where the value is a default
	Key   string
	Value string // as written; empty where the key itself is the problem
	Want  string // what would be right
}

// String returns the problem as a line: where: key = value: what is wanted.
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

// Error is everything that is wrong with a configuration, one problem a line. Commands end with exit status 2 on it:
// the user's input has to change.
type Error struct {
	Problems []Problem // at least one
}

// Error lists the problems, one a line below a heading where there are several.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems in the configuration:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Problems collects what is wrong, so that all of it can be said at once. The zero value is empty and ready.
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

// Add records a problem with the key whose value is given.
func (p *Problems) Add(key string, value any, want string) {
	p.list = append(p.list, Problem{Key: key, Value: show(value), Want: want})
}

// Check records a problem unless ok.
func (p *Problems) Check(ok bool, key string, value any, want string) {
	if !ok {
		p.Add(key, value, want)
	}
}

// Join adds the problems of another validation, such as that of an embedded Config. Nil adds nothing.
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

// Err returns nil, or all that was collected as an *Error.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: slices.Clone(p.list)}
}

// Bounds of sizes and weights: far above those of any model there is, and low enough that no product of a few of them
// overflows. They catch typos.
const (
	MaxWidth  = 1 << 17 // of a layer or a latent
	MaxLayers = 1000
	MaxPatch  = 64      // tokens of a patch, K
	MaxTokens = 1 << 24 // of a vocabulary, a context, a batch
	MaxWeight = 1e6     // of a term of a loss, or a learning rate
)

// Positive records a problem unless 0 < v <= hi. NaN is a problem.
func Positive(p *Problems, key string, v, hi float64) {
	p.Check(v > 0 && v <= hi, key, v, fmt.Sprintf("want more than 0, at most %v", hi))
}

// Within records a problem unless lo <= v <= hi. NaN is a problem.
func Within[N cmp.Ordered](p *Problems, key string, v, lo, hi N) {
	p.Check(v >= lo && v <= hi, key, v, fmt.Sprintf("want %v to %v", lo, hi))
}

// Same records a problem unless v is what another part of the same run has, which whose names.
func Same(p *Problems, key string, v, want int, whose string) {
	p.Check(v == want, key, v, fmt.Sprintf("want %d, as %s has", want, whose))
}

// OneOf records a problem unless v is one of the names allowed.
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

// show writes a value the way a configuration file would.
func show(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

// Token records a problem unless id is a token of a vocabulary of that many.
func Token(p *Problems, key string, id, vocab int) {
	p.Check(id >= 0 && id < vocab, key, id, fmt.Sprintf("want a token, 0 to vocab_size-1 = %d", vocab-1))
}
