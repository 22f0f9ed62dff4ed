package lm_test

import (
	"testing"

	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// TestStepDoesNotAllocate: neither appending a patch nor drawing the next.
func TestStepDoesNotAllocate(t *testing.T) { eachHead(t, stepDoesNotAllocate) }

func stepDoesNotAllocate(t *testing.T, kind string) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := sampling(t, kind)
	s, sampler := m.NewSession(e, 2, 64), m.NewSampler(e, 2, 3)
	ids := randomIDs(2*4, m.Config.VocabSize)
	allocations := testing.AllocsPerRun(20, func() {
		if err := s.Append(ids); err != nil {
			t.Fatal(err)
		}
		if _, err := sampler.Draw(s.Hidden(), 1, uint64(s.Len())); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("a step allocates %v times", allocations)
	}
}

func TestTrainingStepDoesNotAllocate(t *testing.T) { eachHead(t, trainingStepDoesNotAllocate) }

func trainingStepDoesNotAllocate(t *testing.T, kind string) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(func(c *lm.Config) { *c = testkit.Set(*c, "token_loss_weight=1", "model_type="+kind) })
	tr := m.Training(2, 16)
	p := e.Compile(tr.Graph, cpu.Training)
	ids := randomIDs(2*16, m.Config.VocabSize)
	allocations := testing.AllocsPerRun(5, func() {
		if err := tr.Fill(p, ids, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Step(false); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("a step allocates %v times", allocations)
	}
}
