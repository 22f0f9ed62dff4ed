package testkit

import (
	"context"
	"testing"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
)

// Writing is a text generator over calm's byte tokenizer.
type Writing struct {
	*generate.Generator
	Options generate.Options // for every text
	Result  generate.Result  // of the last text
}

// NewWriting returns a text generator for a model.
func NewWriting(t testing.TB, e *cpu.Engine, m generate.Model, o generate.Options) *Writing {
	t.Helper()
	g, err := generate.New(e, m, tokenizer.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return &Writing{Generator: g, Options: o}
}

// Write generates a whole text and returns its tokens. After an error it returns the tokens before it.
func (w *Writing) Write(prompt string) (ids []int32, err error) {
	in, err := w.Encode(prompt)
	if err != nil {
		return nil, err
	}
	x, err := w.Text(in, w.Options)
	if err != nil {
		return nil, err
	}
	for c, e := range x.Chunks(context.Background()) {
		if e != nil {
			err = e
			continue
		}
		ids = append(ids, c.Tokens...)
	}
	w.Result = x.Result()
	return ids, err
}
