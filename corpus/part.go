package corpus

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

// End returns the last ids of the first document's text, at most n, without BOS, EOS and PAD.
func (p *Part) End(n int) ([]int32, error) {
	w := walker{part: p}
	s, ok, err := w.next()
	if !ok {
		return nil, err
	}
	ids := make([]int32, min(int64(n), s.tokens))
	return ids, p.corpus.shards[s.shard].read(ids, s.at+s.tokens-int64(len(ids)))
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

// next returns the next document, if there is one and no error.
func (w *walker) next() (s span, ok bool, err error) {
	c := w.part.corpus
	for ; w.shard < len(c.shards); w.shard, w.record, w.at = w.shard+1, 0, 0 {
		shard := c.shards[w.shard]
		for w.record < shard.count() {
			r, err := shard.record(w.record)
			if err != nil {
				return span{}, false, err
			}
			s := span{w.shard, w.at, r.tokens}
			w.record++
			w.at += r.tokens
			if w.part.side == sideAll && r.role == head && w.record < shard.count() {
				rest, err := shard.record(w.record) // the tail, in the same shard
				if err != nil {
					return span{}, false, err
				}
				s.tokens += rest.tokens
				w.record++
				w.at += rest.tokens
			}
			if w.part.has(r) {
				return s, true, nil
			}
		}
	}
	return span{}, false, nil
}

// has reports whether a piece belongs to the part.
func (p *Part) has(r record) bool {
	if p.side == sideAll {
		return true
	}
	heldOut := r.role == tail || r.role == whole && r.hash <= p.corpus.upTo
	return heldOut == (p.side == sideHeldOut)
}
