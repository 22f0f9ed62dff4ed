package corpus

import "iter"

type side uint8

const (
	sideAll side = iota
	sideTrain
	sideHeldOut
)

// A Part is the training part, the held-out part, or all of a corpus, in the order of its documents.
type Part struct {
	corpus    *Corpus
	side      side
	name      string // in messages
	documents int64
	tokens    int64
}

// Documents returns the number of documents.
func (p *Part) Documents() int64 { return p.documents }

// Tokens returns the number of tokens of the texts, without BOS, EOS and PAD.
func (p *Part) Tokens() int64 { return p.tokens }

// measure counts documents and tokens.
func (p *Part) measure() {
	w := walker{part: p}
	for s, ok := w.next(); ok; s, ok = w.next() {
		p.documents++
		p.tokens += s.tokens
	}
}

// Each yields the ids of each document's text, without BOS, EOS and PAD. The next iteration overwrites the slice. An error (a
// damaged file) ends the iteration.
func (p *Part) Each() iter.Seq2[[]int32, error] {
	return func(yield func([]int32, error) bool) {
		var ids []int32
		w := walker{part: p}
		for {
			s, ok := w.next()
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

// A span locates the tokens of a document.
type span struct {
	shard  int
	at     int64 // first token in the shard
	tokens int64
}

// A walker iterates over the documents of a part. A copy of a walker iterates independently from the same place.
type walker struct {
	part   *Part
	shard  int
	record int   // the next record in the shard
	at     int64 // its first token
}

// next returns the next document.
func (w *walker) next() (span, bool) {
	c := w.part.corpus
	for ; w.shard < len(c.shards); w.shard, w.record, w.at = w.shard+1, 0, 0 {
		table := c.shards[w.shard].records
		for w.record*recordSize < len(table) {
			r := recordAt(table, w.record)
			s := span{w.shard, w.at, r.tokens}
			w.record++
			w.at += r.tokens
			if w.part.side == sideAll && r.role == head && w.record*recordSize < len(table) {
				rest := recordAt(table, w.record) // the tail, in the same shard
				s.tokens += rest.tokens
				w.record++
				w.at += rest.tokens
			}
			if w.part.has(r) {
				return s, true
			}
		}
	}
	return span{}, false
}

// has reports whether a piece belongs to the part.
func (p *Part) has(r record) bool {
	if p.side == sideAll {
		return true
	}
	heldOut := r.role == tail || r.role == whole && r.hash <= p.corpus.upTo
	return heldOut == (p.side == sideHeldOut)
}
