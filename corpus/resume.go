package corpus

import (
	"cmp"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/plural"
)

// takeUp opens the shards of an earlier preparation. It removes the unfinished files of an interrupted one.
func (p *preparation) takeUp() error {
	p.complete = IsPrepared(p.dir)
	if p.complete {
		m, err := readManifest(p.dir)
		if err != nil {
			return err
		}
		if m.Tokenizer != p.fingerprint {
			return p.otherTokenizer()
		}
		for i := range m.Shards {
			s, _, err := openShard(filepath.Join(p.dir, shardName(i)))
			if err != nil {
				return err
			}
			p.kept = append(p.kept, s)
		}
		return nil
	}
	for {
		s, h, err := openShard(filepath.Join(p.dir, shardName(len(p.kept))))
		if err != nil {
			break // missing or unfinished
		}
		if h.tokenizer != p.fingerprint {
			s.close()
			return p.otherTokenizer()
		}
		if int(h.index) != len(p.kept) || verifyAll(s) != nil {
			s.close()
			break
		}
		p.kept = append(p.kept, s)
	}
	return p.removeRest()
}

func verifyAll(s *shard) error {
	for chunk := range len(s.sums) / 4 {
		if err := s.verify(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparation) otherTokenizer() error {
	return fmt.Errorf("%s was begun with another tokenizer: choose another directory, or delete this one", p.dir)
}

// removeRest removes the shards that are not kept, and the temporary files of a killed preparation.
func (p *preparation) removeRest() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for i := range p.kept {
		keep[shardName(i)] = true
	}
	var remove []string
	for _, e := range entries {
		if e.Name() == tokenizerName { // first: without shards it would count as somebody else's
			remove = slices.Insert(remove, 0, filepath.Join(p.dir, tokenizerName))
		}
		if isShardName(e.Name()) && !keep[e.Name()] {
			remove = append(remove, filepath.Join(p.dir, e.Name()))
		}
	}
	for _, name := range []string{manifestName, tokenizerName} {
		temps, err := atomicfile.Temps(filepath.Join(p.dir, name))
		if err != nil {
			return err
		}
		remove = append(remove, temps...)
	}
	for _, path := range remove {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// skipKept yields the pieces that are not in the kept shards. It checks that the pieces before them are those in the shards.
func (p *preparation) skipKept(in iter.Seq2[piece, error]) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		var failed error // of a shard
		kept, stop := iter.Pull(records(p.kept, &failed))
		defer stop()
		want, more := kept()
		bytes := int64(0) // of the piece that is compared
		for piece, err := range in {
			err = cmp.Or(err, failed)
			switch {
			case err != nil:
			case more && piece.More:
				bytes += int64(len(piece.Text))
				continue
			case more && (want.hash != piece.hash || want.role != piece.role):
				err = fmt.Errorf("%s is not the text that %s was begun with: give the same text, choose another directory, or delete this one", piece.Document, p.dir)
			case more:
				p.report(piece.to, piece.role, bytes+int64(len(piece.Text)), want.tokens, true)
				bytes = 0
				want, more = kept()
				continue
			case p.complete:
				err = fmt.Errorf("%s is not among the %s of %s, which is complete: choose another directory, or delete this one", piece.Document, plural.Count(documents(p.kept), "document"), p.dir)
			}
			if !yield(piece, err) || err != nil {
				return
			}
		}
		if failed != nil {
			yield(piece{}, failed)
		} else if more {
			yield(piece{}, fmt.Errorf("the text has ended, but %s was begun with more: give the same text, choose another directory, or delete this one", p.dir))
		}
	}
}

// records yields the records of shards. It stops at the first error and stores it in failed.
func records(shards []*shard, failed *error) iter.Seq[record] {
	return func(yield func(record) bool) {
		for _, s := range shards {
			for i := range s.count() {
				r, err := s.record(i)
				if err != nil {
					*failed = err
					return
				}
				if !yield(r) {
					return
				}
			}
		}
	}
}

// documents counts the documents of shards, for a message.
func documents(shards []*shard) (n int64) {
	var failed error // the count stops there
	for r := range records(shards, &failed) {
		if r.role != tail {
			n++
		}
	}
	return n
}
