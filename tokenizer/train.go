package tokenizer

import (
	"container/heap"
	"context"
	"fmt"
	"iter"
)

// Bounds of the vocabulary size for [TrainBPE].
const (
	MinVocab = 256 + 3 // the bytes and BOS, EOS, PAD
	MaxVocab = 1 << 20
)

// TrainProgress is the progress of [TrainBPE]. It first counts the words of the
// corpus, then finds merges.
type TrainProgress struct {
	Bytes  int64 // bytes of text counted so far
	Words  int   // different words found so far
	Merges int   // merges found so far
	Want   int   // merges asked for
}

// TrainBPE learns a byte-level BPE vocabulary of vocabSize ids from texts, which it
// cuts into words by Llama 3's pattern. Ids 0..255 are the bytes. Then come the
// merges, in the order in which they were found, then BOS, EOS and PAD.
//
// Each merge joins the most frequent pair of the corpus; of equally frequent ones,
// the pair with the lower ids. So the result depends on texts alone. If no pair
// occurs twice any more, the vocabulary is smaller than vocabSize.
//
// texts may be larger than memory, since only words and their counts are kept. If
// the source of texts fails, it should end early, and the caller should ignore the
// result. progress may be nil. Errors: vocabSize out of [MinVocab, MaxVocab], or
// ctx is done.
func TrainBPE(ctx context.Context, texts iter.Seq[[]byte], vocabSize int, progress func(TrainProgress)) (*Tokenizer, error) {
	if vocabSize < MinVocab || vocabSize > MaxVocab {
		return nil, fmt.Errorf("tokenizer: a vocabulary of %d: want %d (the bytes and three special tokens) to %d", vocabSize, MinVocab, MaxVocab)
	}
	if progress == nil {
		progress = func(TrainProgress) {}
	}
	fillClasses()
	p := TrainProgress{Want: vocabSize - MinVocab}
	counter := newWordCounter(maxWordBytes)
	var last int64
	for text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("tokenizer: training: %w", err)
		}
		counter.add(text)
		p.Bytes, p.Words = p.Bytes+int64(len(text)), len(counter.counts)
		if p.Bytes-last >= 1<<20 {
			last = p.Bytes
			progress(p)
		}
	}
	progress(p)

	counter.index = nil // its memory is needed for the pairs
	tr := newTrainer(counter)
	for p.Merges < p.Want && tr.step() {
		p.Merges++
		if p.Merges%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("tokenizer: training: %w", err)
			}
			progress(p)
		}
	}
	progress(p)

	tokens := singleBytes()
	for _, m := range tr.merges {
		tokens = append(tokens, append(append([]byte{}, tokens[m.left]...), tokens[m.right]...))
	}
	return build(spec{
		tokens: tokens, merges: tr.merges, added: threeSpecials(int32(len(tokens))),
		stages: llama3Stages(), own: true,
	})
}

// A trainer holds the different words of the corpus, as tokens that are merged step
// by step, and the pairs of tokens in them.
type trainer struct {
	symbols []int32 // tokens of all words
	words   []trainWord
	pairs   []trainPair
	index   map[uint64]int32 // pair -> pairs
	queue   pairQueue
	fresh   []int32 // pairs that the present merge has made, not yet in queue
	merges  []merge
}

type trainWord struct {
	begin, n int32
	count    int64
}

type trainPair struct {
	left, right int32
	count       int64
	words       []int32 // words with the pair, and words that had it before
}

func newTrainer(c *wordCounter) *trainer {
	t := &trainer{index: map[uint64]int32{}}
	for i, count := range c.counts {
		word := c.word(i)
		w := trainWord{begin: int32(len(t.symbols)), n: int32(len(word)), count: count}
		t.words = append(t.words, w)
		for j, b := range word {
			t.symbols = append(t.symbols, int32(b))
			if j > 0 {
				t.gain(int32(word[j-1]), int32(b), int32(i), count)
			}
		}
	}
	t.enqueueFresh()
	return t
}

// step makes the next merge. It returns false when no pair occurs twice.
func (t *trainer) step() bool {
	for len(t.queue) > 0 {
		top := &t.queue[0]
		p := &t.pairs[top.pair]
		switch {
		case p.count < 2:
			heap.Pop(&t.queue)
		case p.count < top.count: // counts only fall
			top.count = p.count
			heap.Fix(&t.queue, 0)
		default:
			t.merge(*p)
			return true
		}
	}
	return false
}

func (t *trainer) merge(p trainPair) {
	m := merge{p.left, p.right, int32(256 + len(t.merges))}
	t.merges = append(t.merges, m)
	for _, w := range p.words {
		t.mergeIn(w, m)
	}
	done := &t.pairs[t.index[pairKey(p.left, p.right)]]
	done.count, done.words = 0, nil
	t.enqueueFresh()
}

// mergeIn replaces the pair in one word, from left to right. After every
// replacement it updates the counts of the adjacent pairs.
func (t *trainer) mergeIn(index int32, m merge) {
	w := &t.words[index]
	s := t.symbols[w.begin : w.begin+w.n]
	out := 0
	for i := 0; i < len(s); i++ {
		if i+1 == len(s) || s[i] != m.left || s[i+1] != m.right {
			s[out] = s[i]
			out++
			continue
		}
		if out > 0 {
			t.lose(s[out-1], m.left, w.count)
			t.gain(s[out-1], m.id, index, w.count)
		}
		if i+2 < len(s) {
			t.lose(m.right, s[i+2], w.count)
			t.gain(m.id, s[i+2], index, w.count)
		}
		s[out] = m.id
		out++
		i++
	}
	w.n = int32(out)
}

func pairKey(left, right int32) uint64 { return uint64(left)<<32 | uint64(uint32(right)) }

func (t *trainer) gain(left, right, word int32, count int64) {
	key := pairKey(left, right)
	i, known := t.index[key]
	if !known {
		i = int32(len(t.pairs))
		t.index[key] = i
		t.pairs = append(t.pairs, trainPair{left: left, right: right})
		t.fresh = append(t.fresh, i)
	}
	p := &t.pairs[i]
	p.count += count
	if n := len(p.words); n == 0 || p.words[n-1] != word {
		p.words = append(p.words, word)
	}
}

func (t *trainer) lose(left, right int32, count int64) {
	t.pairs[t.index[pairKey(left, right)]].count -= count
}

func (t *trainer) enqueueFresh() {
	for _, i := range t.fresh {
		if p := &t.pairs[i]; p.count >= 2 {
			heap.Push(&t.queue, queued{p.count, pairKey(p.left, p.right), i})
		}
	}
	t.fresh = t.fresh[:0]
}

// A pairQueue is a heap of pairs: the most frequent first, of equally frequent ones
// the pair with the lower ids.
type pairQueue []queued

type queued struct {
	count int64 // when it was pushed; the present count may be lower
	key   uint64
	pair  int32
}

func (q pairQueue) Len() int      { return len(q) }
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q pairQueue) Less(i, j int) bool {
	return q[i].count > q[j].count || q[i].count == q[j].count && q[i].key < q[j].key
}
func (q *pairQueue) Push(x any) { *q = append(*q, x.(queued)) }
func (q *pairQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
