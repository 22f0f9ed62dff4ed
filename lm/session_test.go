package lm_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// TestSessionEqualsTraining: for any division of a context into appends, its last hidden state is that of a run over
// the whole.
func TestSessionEqualsTraining(t *testing.T) {
	const rows, patches = 2, 363
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		for _, input := range inputs {
			m := tiny(func(c *lm.Config) { c.Input = input })
			sessionEqualsTraining(t, e, m, rows, patches)
		}
	})
}

func sessionEqualsTraining(t *testing.T, e *cpu.Engine, m *lm.Model, rows, patches int) {
	t.Helper()
	k, d := m.Config.PatchSize, m.Config.HiddenSize
	ids := randomIDs(rows*(patches+1)*k, m.Config.VocabSize)
	want := hiddenStates(t, e, m, ids, rows)
	for _, cuts := range [][]int{{363}, {1, 2, 3, 20, 21, 85, 106, 363}, {64, 320, 363}} {
		s := m.NewSession(e, rows, patches)
		from := 0
		for _, to := range cuts {
			if err := s.Append(patchesOf(ids, rows, k, from, to)); err != nil {
				t.Fatal(err)
			}
			from = to
			var last []float32
			for b := range rows {
				last = append(last, want[(b*patches+to-1)*d:][:d]...)
			}
			testkit.Compare(t, "hidden", s.Hidden(), last, 1e-5)
		}
		if s.Len() != patches {
			t.Errorf("%d patches, want %d", s.Len(), patches)
		}
	}
}

func TestSessionErrors(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(nil)
	ids := randomIDs(8*4, m.Config.VocabSize)
	s, want := m.NewSession(e, 1, 7), m.NewSession(e, 1, 7)
	for _, s := range []*backbone.Session{s, want} {
		if err := s.Append(ids[:5*4]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(ids[:3*4]); !errors.Is(err, backbone.ErrFull) {
		t.Errorf("too much appended: %v, want ErrFull", err)
	}
	if err := s.Append(ids[:3]); err == nil {
		t.Error("no error for a part of a patch")
	}
	bad := slices.Clone(ids[5*4 : 7*4])
	bad[7] = int32(m.Config.VocabSize)
	if err := s.Append(bad); err == nil {
		t.Error("no error for an id out of range")
	}
	if s.Len() != 5 || !slices.Equal(s.Hidden(), want.Hidden()) {
		t.Error("errors changed the session")
	}
	for _, s := range []*backbone.Session{s, want} {
		if err := s.Append(ids[5*4 : 7*4]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(s.Hidden(), want.Hidden()) {
		t.Error("what was appended after errors differs")
	}
}

func TestTruncate(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(nil)
	ids := randomIDs(6*4, m.Config.VocabSize)
	s := m.NewSession(e, 1, 6)
	var want []float32
	for i := range 6 {
		if err := s.Append(ids[i*4:][:4]); err != nil {
			t.Fatal(err)
		}
		want = append(want, s.Hidden()...)
	}
	s.Truncate(2)
	for i := 2; i < 6; i++ {
		if err := s.Append(ids[i*4:][:4]); err != nil {
			t.Fatal(err)
		}
		equal(t, "hidden", s.Hidden(), want[i*len(s.Hidden()):][:len(s.Hidden())])
	}
}
