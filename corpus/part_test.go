package corpus

import (
	"iter"
	"slices"
	"testing"
)

// Each yields the ids of each document's text, without BOS, EOS and PAD. The next iteration overwrites the slice, which has
// all ids of a document. An error (a damaged file) ends the iteration.
func (p *Part) Each() iter.Seq2[[]int32, error] {
	return func(yield func([]int32, error) bool) {
		var ids []int32
		w := walker{part: p}
		for {
			s, ok, err := w.next()
			if err != nil {
				yield(nil, err)
			}
			if !ok {
				return
			}
			if int64(cap(ids)) < s.tokens {
				ids = make([]int32, s.tokens)
			}
			ids = ids[:s.tokens]
			if err := p.corpus.shards[s.shard].read(ids, s.at); err != nil {
				yield(nil, err)
				return
			}
			if !yield(ids, nil) {
				return
			}
		}
	}
}

// The end of a part is that of its first document.
func TestEnd(t *testing.T) {
	c := mustTokenize(t, someTexts(40, 1)...)
	for _, p := range []*Part{c.All(), c.Train(), c.HeldOut()} {
		for first := range p.Each() {
			for _, n := range []int{0, 1, 4, len(first), len(first) + 1} {
				want := first[max(0, len(first)-n):]
				if got, err := p.End(n); err != nil || !slices.Equal(got, want) {
					t.Errorf("the last %d ids of the %s are %v (%v), want %v", n, p.name, got, err, want)
				}
			}
			break
		}
	}
}
