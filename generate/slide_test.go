package generate

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/calm-go/calm/nn/cpu"
	"pgregory.net/rapid"
)

// mixer is a model whose patches are a function of all that it has read, and of the patch's number. It writes bytes, never
// the end of a text, and remembers how it was used.
type mixer struct {
	patch, positions int
	has              [MaxStreams][]int32
	longest          int                        // patches that it had read when it wrote
	together         [MaxStreams + 1]int        // how often it was given so many patches at once
	readTogether     [MaxStreams + 1]int        // how often it read so many prompts at once
	hesitates        func() bool                // leaves a patch for later; nil: never
	fails            func(slot, step int) error // nil: never
}

func (m *mixer) Shape() Shape { return Shape{m.patch, 259, 256, 257, m.positions} }

func (m *mixer) NewSource(*cpu.Engine) Source { return m }

func (m *mixer) Check(Options) error { return nil }

func (m *mixer) Begin(slot int, _ Options) { m.has[slot] = []int32{} }

func (m *mixer) End(slot int) { m.has[slot] = nil }

func (m *mixer) Save(slot int) any {
	defer m.End(slot)
	return m.has[slot]
}

func (m *mixer) Restore(slot int, text any) { m.has[slot] = text.([]int32) }

func (m *mixer) Piece(n int) int { return min(n, 3) }

func (m *mixer) Read(slots []int, ids []int32) error {
	n := len(ids) / len(slots)
	if n > m.patch { // else it is the latest patch of each
		m.readTogether[len(slots)]++
	}
	if n == 0 || n%m.patch != 0 || len(ids)%len(slots) != 0 {
		return fmt.Errorf("%d ids of %d slots", len(ids), len(slots))
	}
	for i, slot := range slots {
		m.has[slot] = append(m.has[slot], ids[i*n:(i+1)*n]...)
	}
	return nil
}

func (m *mixer) Write(patches []*Patch) {
	m.together[len(patches)]++
	for _, p := range patches {
		if m.hesitates != nil && m.hesitates() {
			continue
		}
		m.longest = max(m.longest, len(m.has[p.Slot])/m.patch)
		mix(p.IDs, m.has[p.Slot], p.Step)
		p.Done, p.Draws = true, 1
		if m.fails != nil {
			p.Err = m.fails(p.Slot, p.Step)
		}
	}
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
		g := generator(t, m, nil)
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
