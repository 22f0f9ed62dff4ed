package corpus

import "iter"

// A manifestSource counts the documents of one file.
type manifestSource struct {
	Path      string `json:"path"`
	Documents int64  `json:"documents"`
	Bytes     int64  `json:"bytes"` // of text
}

// A tally counts pieces by their sources.
type tally struct {
	sources []manifestSource
	index   map[string]int
}

func (t *tally) pieces(in iter.Seq2[piece, error]) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for p, err := range in {
			if err == nil {
				t.add(p)
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func (t *tally) add(p piece) {
	i, ok := t.index[p.Source]
	if !ok {
		if t.index == nil {
			t.index = map[string]int{}
		}
		i = len(t.sources)
		t.index[p.Source] = i
		t.sources = append(t.sources, manifestSource{Path: p.Source})
	}
	t.sources[i].Bytes += int64(len(p.Text))
	if p.role != tail && !p.More {
		t.sources[i].Documents++
	}
}
