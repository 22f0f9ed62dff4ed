package backbone_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// sessions returns a function that opens sessions of one small model, with two tokens a position, and ids for n
// positions of that many rows.
func sessions(e *cpu.Engine, rows, n int) (open func(capacity int) *backbone.Session, ids []int32) {
	c := backbone.Default(2, 24, 40, 4)
	c.NumKeyValueHeads, c.InitializerRange = 2, .3
	ps := nn.NewParams()
	m := backbone.New(c, ps, "model.")
	table := ps.Matrix("table", nn.Gaussian(1), 16, 12)
	ps.Initialize(1)
	embed := func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
		return g.Reshape(g.Embedding(g.Param(table), ids, -1), ids.Dim(0), ids.Dim(1), 24)
	}
	for i := range rows * n * 2 {
		ids = append(ids, int32(i*i%13))
	}
	return func(capacity int) *backbone.Session { return m.NewSession(e, embed, rows, 2, capacity) }, ids
}

// TestGrowingSession: a session whose memory grows gives bit for bit what one with all its memory from the start gives,
// at every length and for any division into appends.
func TestGrowingSession(t *testing.T) {
	const rows, n = 3, 200
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		open, ids := sessions(e, rows, n)
		for _, cut := range []int{1, 7, 65, 150} {
			whole, growing := open(n), open(n)
			whole.Reserve(n)
			for from := 0; from < n; from += cut {
				to := min(from+cut, n)
				var part []int32
				for b := range rows {
					part = append(part, ids[(b*n+from)*2:(b*n+to)*2]...)
				}
				if err := errors.Join(whole.Append(part), growing.Append(part)); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(whole.Hidden(), growing.Hidden()) {
					t.Fatalf("appends of %d: the hidden states differ after %d positions", cut, to)
				}
			}
			if err := growing.Append(make([]int32, rows*2)); !errors.Is(err, backbone.ErrFull) {
				t.Errorf("a full context: %v", err)
			}
		}
	})
}

// TestSessionMemory: a new session takes the memory of a short context, not that of its capacity.
func TestSessionMemory(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	open, ids := sessions(e, 1, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := open(1 << 20) // 100 MB of keys and values
	if err := s.Append(ids); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
		t.Errorf("one position of a long context takes %d bytes", taken)
	}
}
