package corpus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/tokenizer"
)

// PrepareOptions are the choices of [Prepare]; the zero value is a good one.
type PrepareOptions struct {
	// ShardBytes is how many bytes of tokens a shard has before it ends, with the end of a document; 0 is 64 MiB. A killed
	// preparation loses the work on one shard.
	ShardBytes int64
	// Progress, if not nil, is called after about each MiB of text, from one goroutine at a time. Preparing waits for it.
	Progress func(Progress)
}

// reportEvery is the bytes of text between two calls of Progress.
const reportEvery = 1 << 20

// Progress is how far a preparation has come.
type Progress struct {
	Documents int64 // documents read, with those that an earlier preparation has written
	Read      int64 // bytes of their files, up to [Reader.Size]; of standard input: bytes read; 0 for text from memory
	Bytes     int64 // bytes of their text
	Tokens    int64 // tokens written, with those of an earlier preparation
	Kept      int64 // documents that an earlier preparation has written
}

// Prepare tokenizes documents into a directory and opens it. The directory counts as prepared once it is complete. The next
// preparation of the same documents continues what a killed, cancelled or failed one left there: it reads those that are
// done and does not tokenize them again. One that has nothing to leave removes the directory that it made. In a complete
// directory Prepare checks that the documents are those in it. Other documents, another tokenizer, and a directory that is
// not [Free] are errors; nothing is overwritten. Documents without text are passed over.
func Prepare(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer, dir string, opts PrepareOptions) (*Corpus, error) {
	if err := checkSpecials(tok); err != nil {
		return nil, err
	}
	if err := Free(dir); err != nil {
		return nil, err
	}
	_, missing := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("prepare corpus: %w", err)
	}
	lock, err := filelock.Acquire(filepath.Join(dir, filelock.Name))
	if err != nil {
		return nil, fmt.Errorf("prepare corpus: lock %s: %w", dir, err)
	}
	defer lock.Close()
	p := &preparation{dir: dir, tok: tok, opts: opts, fingerprint: TokenizerFingerprint(tok)}
	err = p.run(ctx, docs)
	p.close()
	for _, s := range p.kept {
		s.close()
	}
	if err != nil {
		if missing != nil && len(p.kept) == 0 { // nothing that the next could take up
			os.Remove(filepath.Join(dir, filelock.Name))
			os.Remove(dir)
		}
		return nil, fmt.Errorf("prepare corpus: %w", err)
	}
	return Open(dir)
}

type preparation struct {
	dir         string
	tok         *tokenizer.Tokenizer
	opts        PrepareOptions
	fingerprint Fingerprint

	kept     []*shard // complete shards found, then those written
	complete bool     // they are the whole corpus
	count    tally

	mu         sync.Mutex
	progress   Progress
	unreported int64 // bytes

	file *os.File // the shard being written, or nil
	out  *bufio.Writer
	b    *builder
}

func (p *preparation) run(ctx context.Context, docs iter.Seq2[Document, error]) error {
	if p.opts.ShardBytes <= 0 {
		p.opts.ShardBytes = 64 << 20
	}
	if err := p.takeUp(); err != nil {
		return err
	}
	in := p.skipKept(p.count.pieces(pieces(new(Notes).withText(docs))))
	err := encodePieces(ctx, in, p.tok, p.add)
	// What is tokenized is kept whether or not there is an error.
	if flushErr := p.flush(); flushErr != nil && !errors.Is(err, flushErr) { // on a full disk it is the same error
		err = errors.Join(err, flushErr)
	}
	if err != nil {
		if len(p.kept) > 0 && !p.complete {
			err = fmt.Errorf("%w (%s done; the same command continues from there)", err, plural.Count(documents(p.kept), "document"))
		}
		return err
	}
	if p.complete {
		return nil
	}
	return p.finish()
}

// takeUp opens the shards of an earlier preparation, and removes what is not whole of an unfinished one.
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
			break // none, or not whole
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

// removeRest removes shards, whole or not, that are not kept, and what a killed writer left of the other files.
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

// skipKept passes on the pieces that are not in the kept shards and checks that the others are the same.
func (p *preparation) skipKept(in iter.Seq2[piece, error]) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		kept, stop := iter.Pull(records(p.kept))
		defer stop()
		want, more := kept()
		for piece, err := range in {
			switch {
			case err != nil:
			case more && (want.hash != piece.hash || want.role != piece.role):
				err = fmt.Errorf("%s is not the text that %s was begun with: give the same files, choose another directory, or delete this one", piece.Document, p.dir)
			case more:
				p.report(piece.to, piece.role, int64(len(piece.Text)), want.tokens, true)
				want, more = kept()
				continue
			case p.complete:
				err = fmt.Errorf("%s is not among the %s of %s, which is complete: choose another directory, or delete this one", piece.Document, plural.Count(documents(p.kept), "document"), p.dir)
			}
			if !yield(piece, err) || err != nil {
				return
			}
		}
		if more {
			yield(piece{}, fmt.Errorf("the text has ended, but %s was begun with more: give the same files, choose another directory, or delete this one", p.dir))
		}
	}
}

// records yields the records of shards.
func records(shards []*shard) iter.Seq[record] {
	return func(yield func(record) bool) {
		for _, s := range shards {
			for i := range s.count() {
				if !yield(recordAt(s.records, i)) {
					return
				}
			}
		}
	}
}

// documents counts the documents of shards.
func documents(shards []*shard) (n int64) {
	for r := range records(shards) {
		if r.role != tail {
			n++
		}
	}
	return n
}

// report adds to the progress. Pieces that are skipped and pieces that are written come from different goroutines.
func (p *preparation) report(read int64, r role, bytes, tokens int64, kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r != tail {
		p.progress.Documents++
		if kept {
			p.progress.Kept++
		}
	}
	p.unreported += bytes
	p.progress.Read = max(p.progress.Read, read)
	p.progress.Bytes += bytes
	p.progress.Tokens += tokens
	if p.opts.Progress != nil && p.unreported >= reportEvery {
		p.unreported = 0
		p.opts.Progress(p.progress)
	}
}

// add writes a part of a piece to the open shard.
func (p *preparation) add(part jobPart, ids []int32) error {
	if p.b == nil {
		if err := p.open(); err != nil {
			return err
		}
	}
	if err := p.b.add(ids); err != nil {
		return err
	}
	// A piece counts as a document with its last part.
	r := tail
	if part.last {
		r = part.role
	}
	p.report(part.to, r, int64(len(part.Text)), int64(len(ids)), false)
	if !part.last {
		return nil
	}
	p.b.end(part.piece)
	if part.role != head && p.b.done.tokens*int64(p.b.width) >= p.opts.ShardBytes {
		return p.flush()
	}
	return nil
}

func (p *preparation) open() error {
	file, err := os.Create(filepath.Join(p.dir, shardName(len(p.kept))+".tmp"))
	if err != nil {
		return err
	}
	p.file = file
	p.out = bufio.NewWriterSize(file, 1<<20)
	p.b = newBuilder(p.out, p.tok.VocabSize())
	_, err = p.out.Write(make([]byte, headerSize)) // written when the rest is there
	return err
}

// flush makes a shard of the documents written since the last one. An unfinished document at its end is cut off.
func (p *preparation) flush() error {
	if p.b == nil {
		return nil
	}
	b, file := p.b, p.file
	defer p.close()
	if len(b.done.records) == 0 {
		return nil
	}
	if err := p.out.Flush(); err != nil {
		return err
	}
	records, sums := b.tables()
	h := header{
		index: uint32(len(p.kept)), vocab: uint32(p.tok.VocabSize()), tokenizer: p.fingerprint,
		tokens: b.done.tokens, records: int64(len(records) / recordSize),
	}
	at := h.layout()
	for _, section := range [][]byte{make([]byte, at.records-at.tokensEnd), records, sums} {
		h.table = crc32.Update(h.table, castagnoli, section)
	}
	if err := file.Truncate(at.tokensEnd); err != nil {
		return err
	}
	for _, section := range []struct {
		at    int64
		bytes []byte
	}{{at.records, records}, {at.sums, sums}, {0, h.encode()}} {
		if _, err := file.WriteAt(section.bytes, section.at); err != nil {
			return err
		}
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	path := filepath.Join(p.dir, shardName(len(p.kept)))
	if err := new(atomicfile.Disk).Commit(file.Name(), path); err != nil {
		return err
	}
	s, _, err := openShard(path)
	if err != nil {
		return err
	}
	p.kept = append(p.kept, s)
	return nil
}

// close ends the shard being written, if any, and removes it unless it was committed.
func (p *preparation) close() {
	if p.file != nil {
		p.file.Close() // after a commit it is closed already, which does no harm
		os.Remove(p.file.Name())
	}
	p.file, p.out, p.b = nil, nil, nil
}

// discard removes all shards.
func (p *preparation) discard() error {
	var errs []error
	for i, s := range p.kept {
		errs = append(errs, s.close(), os.Remove(filepath.Join(p.dir, shardName(i))))
	}
	p.kept = nil
	return errors.Join(errs...)
}

// finish writes the manifest.
func (p *preparation) finish() error {
	c := newTokenized(p.tok)
	c.shards = p.kept
	if err := c.index(); err != nil { // of this text, which has been read to its end, nothing can be held out
		return errors.Join(err, p.discard())
	}
	m := manifest{
		Format: manifestFormat, Version: manifestVersion,
		Fingerprint: c.data, Tokenizer: c.tokenizer, VocabSize: c.vocab,
		BOS: c.special.bos, EOS: c.special.eos, PAD: c.special.pad,
		Documents: c.all.documents, Tokens: c.all.tokens, Sources: p.count.sources,
	}
	for i, s := range p.kept {
		m.Shards = append(m.Shards, manifestShard{shardName(i), int64(len(s.tokens) / s.width)})
	}
	if err := p.tok.Save(filepath.Join(p.dir, tokenizerName)); err != nil {
		return err
	}
	return m.write(p.dir)
}
