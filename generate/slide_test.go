package generate

import (
	"context"
	"slices"
	"testing"

	"github.com/calm-go/calm/nn/cpu"
	"pgregory.net/rapid"
)

// mixer is a model whose patches are a function of all that it has read, and of the patch's number. It writes bytes, never
// the end of a text, and remembers how it was used.
type mixer struct {
	patch, positions int
	has              []int32
	longest          int // patches that it had read when it wrote
}

func (m *mixer) Shape() Shape { return Shape{m.patch, 259, 256, 257, m.positions} }

func (m *mixer) NewSource(*cpu.Engine) Source { return m }

func (m *mixer) Check(Options) error { return nil }

func (m *mixer) Begin(Options) { m.has = nil }

func (m *mixer) Read(ids []int32) error {
	m.has = append(m.has, ids...)
	return nil
}

func (m *mixer) Write(_ context.Context, dst []int32, step int) (int, error) {
	m.longest = max(m.longest, len(m.has)/m.patch)
	mix(dst, m.has, step)
	return 1, nil
}

// mix writes a patch after a context.
func mix(dst, context []int32, step int) {
	sum := uint32(step)*7919 + 1
	for _, id := range context {
		sum = sum*31 + uint32(id)
	}
	for i := range dst {
		sum = sum*1664525 + 1013904223
		dst[i] = int32(sum >> 24)
	}
}

// A text of any length is what a model writes that forgets everything and reads BOS and the newest tokens again, as many as
// fill half of the context, wherever the context is full. It never has more positions than the context.
func TestSlidingWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, window := rapid.IntRange(1, 5).Draw(t, "patch"), rapid.IntRange(2, 9).Draw(t, "window")
		prompt := rapid.SliceOfN(rapid.Int32Range(0, 255), 0, 60).Draw(t, "prompt")
		tail := rapid.SliceOfN(rapid.Int32Range(0, 255), 5, 5).Draw(t, "tail")
		limit := rapid.IntRange(0, 100).Draw(t, "max tokens")
		o := Options{Context: window*k + rapid.IntRange(0, k-1).Draw(t, "beyond whole patches"), MaxTokens: limit, Tail: tail}
		m := &mixer{patch: k, positions: 10}
		g, err := New(nil, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		x, err := g.Text(slices.Clone(prompt), o)
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for c, err := range x.Chunks(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c.Tokens...)
		}

		if limit == 0 {
			limit = o.Context
		}
		kept := prompt[max(0, len(prompt)-((window-1)*k-1)):]
		front := append(slices.Clone(tail[len(tail)-(k-(1+len(kept))%k)%k:]), 256)
		all, slides := slices.Concat(front, kept), 0 // what was read and written so far
		has := slices.Clone(all)
		for step := 0; len(all)-len(front)-len(kept) < limit; step++ {
			if len(has) == window*k {
				has = append([]int32{256}, all[len(all)-(window/2*k-1):]...)
				slides++
			}
			patch := make([]int32, k)
			mix(patch, has, step)
			all, has = append(all, patch...), append(has, patch...)
		}
		if want := all[len(front)+len(kept):][:limit]; !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		r := x.Result()
		if r.Slides != slides || r.Stop != StopMaxTokens || r.Tokens != limit || r.PromptTokens != len(prompt) || r.PromptDropped != len(prompt)-len(kept) {
			t.Errorf("%+v, want %d slides and a prompt of %d", r, slides, len(kept))
		}
		if m.longest >= window {
			t.Errorf("it had read %d patches of a context of %d", m.longest, window)
		}
	})
}
