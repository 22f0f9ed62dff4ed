package bench

import (
	"context"
	"math"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// loop measures BrierLM one position at a time: it reads the prefix of the position and draws two patches. While the two are
// equal, it reads one of them and draws two further patches.
type loop struct {
	session *backbone.Session
	patch   int    // tokens of a patch, K
	further int    // maximum number of further patches
	windows int    // windows of a block
	reread  bool   // whether to read the whole prefix for each position, or to keep it in a cache
	draws   uint64 // number of draws so far: a draw's random numbers depend on it
	tokens  int    // tokens of a block

	// draw returns two patches [2, K] after the session's context. For a baseline it also returns the collision probability
	// of its distribution there, and the log probability of the token next.
	draw func(next int32, step uint64) (pair []int32, collision, logP float64, err error)
	// score returns the score of a window. p begins with the window's first position, targets with its first target.
	score func(p []position, targets []int32) brier.Score
}

// position is the result of the loop at one position.
type position struct {
	pair      []int32          // two samples, [2, K]
	agree     int              // number of leading tokens in which the samples are equal, including further patches
	logP      float64          // log probability of the target (baseline only)
	collision [brier.N]float64 // collision probability after 0, 1, .. further patches (baseline only)
}

func newLoop(e *cpu.Engine, m *model, tokens int, reread bool) *loop {
	l := &loop{patch: m.Layout().PatchSize, reread: reread, tokens: tokens}
	l.further = (brier.N - 1) / l.patch
	positions := tokens/l.patch - 1
	l.windows = positions - l.further
	switch n := m.Network.(type) {
	case *lm.Model:
		sampler := n.NewSampler(e, 1, 2)
		l.session = n.NewSession(e, 1, positions+l.further)
		l.draw = func(_ int32, step uint64) ([]int32, float64, float64, error) {
			pair, err := sampler.Draw(l.session.Hidden(), 1, step)
			return pair, 0, 0, err
		}
		l.score = l.continued
	case *ar.Model:
		sampler := n.NewSampler(e, 1, 2)
		l.session = n.NewSession(e, 1, positions+l.further).Session
		l.draw = func(next int32, step uint64) ([]int32, float64, float64, error) {
			d, err := sampler.Draw(l.session.Hidden(), []int32{next}, 1, step)
			if err != nil {
				return nil, 0, 0, err
			}
			return d.Tokens, float64(d.Collision[0]), float64(d.LogP[0]), nil
		}
		l.score = autoregressive
	}
	return l
}

// run scores n blocks, spread evenly over the text. It checks between positions whether ctx has ended.
func (l *loop) run(ctx context.Context, blocks *corpus.Blocks, n int) (brier.Result, error) {
	var scores brier.Accumulator
	ids := make([]int32, l.tokens)
	for b := range n {
		if _, err := blocks.Fill(int64(b)*blocks.Len()/int64(n), ids); err != nil {
			return brier.Result{}, err
		}
		positions, err := l.block(ctx, ids)
		if err != nil {
			return brier.Result{}, err
		}
		for w := range l.windows {
			scores.Add(b, l.score(positions[w:], ids[(w+1)*l.patch:]))
		}
	}
	return scores.Result(1), nil
}

func (l *loop) block(ctx context.Context, ids []int32) ([]position, error) {
	positions := make([]position, len(ids)/l.patch-1)
	l.session.Truncate(0)
	for i := range positions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		prefix := ids[:(i+1)*l.patch]
		if l.reread {
			l.session.Truncate(0)
		} else {
			prefix = prefix[i*l.patch:]
		}
		if err := l.session.Append(prefix); err != nil {
			return nil, err
		}
		p := &positions[i]
		l.draws++
		pair, collision, logP, err := l.draw(ids[(i+1)*l.patch], l.draws)
		if err != nil {
			return nil, err
		}
		p.pair, p.collision[0], p.logP = append(p.pair, pair...), collision, logP
		if i < l.windows {
			if err := l.follow(p); err != nil {
				return nil, err
			}
			l.session.Truncate(i + 1)
		}
	}
	return positions, nil
}

// follow reads the first sample and draws further patches after it, until two samples differ.
func (l *loop) follow(p *position) error {
	pair := p.pair
	for n := 1; ; n++ {
		same := equal(pair[:l.patch], pair[l.patch:])
		p.agree += same
		if same < l.patch || n > l.further {
			return nil
		}
		if err := l.session.Append(pair[:l.patch]); err != nil {
			return err
		}
		l.draws++
		var err error
		if pair, p.collision[n], _, err = l.draw(0, l.draws); err != nil {
			return err
		}
	}
}

// equal returns the number of leading tokens in which a and b are equal.
func equal(a, b []int32) int {
	n := 0
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}

// continued returns the score of a window of a language model.
func (l *loop) continued(p []position, targets []int32) brier.Score {
	var right [2]int
	for s := range right {
		for j := range l.further + 1 {
			n := equal(p[j].pair[s*l.patch:][:l.patch], targets[j*l.patch:])
			right[s] += n
			if n < l.patch {
				break
			}
		}
	}
	return brier.Continued(right, p[0].agree)
}

// autoregressive returns the score of a window of a baseline.
func autoregressive(p []position, _ []int32) brier.Score {
	var likelihood [brier.N]float64
	for j := range likelihood {
		likelihood[j] = math.Exp(p[j].logP)
	}
	return brier.Autoregressive(likelihood, p[0].collision, p[0].agree)
}
