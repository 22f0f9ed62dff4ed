package corpus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/tokenizer"
)

// PrepareOptions are the options of [Prepare]. The zero value has good defaults.
type PrepareOptions struct {
	// ShardBytes is the number of bytes of tokens after which a shard ends, at the end of a document; 0: 64 MiB. A killed
	// preparation loses the work on one shard.
	ShardBytes int64
	// Progress is called about once per MiB of text, never concurrently; nil: not called. The preparation waits for it.
	Progress func(Progress)

	create func(path string) (*os.File, error) // makes the file of a shard; nil: createNew. Tests use it for full disks
}

// createNew makes a file, in place of one that a killed preparation left. It follows no link.
func createNew(path string) (*os.File, error) {
	if err := new(atomicfile.Disk).RemoveAll(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
}

// maxShardRecords is the number of bytes of records after which a shard ends, since they are in memory while it is written.
const maxShardRecords = 32 << 20

// reportEvery is the number of bytes of text between two calls of Progress.
const reportEvery = 1 << 20

// Progress is the progress of a preparation. Its counts include the documents of an earlier, interrupted preparation.
type Progress struct {
	Documents int64 // documents done
	Read      int64 // bytes of their files, at most [Reader.Size]; for standard input, bytes read; for text from memory, 0
	Bytes     int64 // bytes of their text
	Tokens    int64 // their tokens
	Kept      int64 // documents of the earlier preparation
}

// Prepare tokenizes documents into a directory and opens it. The directory counts as prepared only when it is complete.
//
// Prepare continues a preparation of the same documents that was killed, cancelled or failed: it reads the finished documents
// to check that they are the same, but does not tokenize them again. In a complete directory it only makes this check. Other
// documents, another tokenizer, and a directory that is not [Free] are errors, and nothing is overwritten. After an error, a
// directory that Prepare made and that has no finished shard is removed. Documents without text are skipped.
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
		if missing != nil && len(p.kept) == 0 { // there is nothing to continue from
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

	kept     []*shard // finished shards: those found, then those written
	complete bool     // the shards found are the whole corpus
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
	// Tokenized documents are kept even after an error.
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

// report updates the progress. It locks, since skipped pieces and written pieces are reported by different goroutines.
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
	// A document is counted with its last part. A tail is never counted.
	r := tail
	if part.last {
		r = part.role
	}
	p.report(part.to, r, int64(len(part.Text)), int64(len(ids)), false)
	if !part.last {
		return nil
	}
	p.b.end(part.piece)
	full := p.b.done.tokens*int64(p.b.width) >= p.opts.ShardBytes || len(p.b.done.records) >= maxShardRecords
	if part.role != head && full {
		return p.flush()
	}
	return nil
}

func (p *preparation) open() error {
	create := p.opts.create
	if create == nil {
		create = createNew
	}
	file, err := create(filepath.Join(p.dir, shardName(len(p.kept))+".tmp"))
	if err != nil {
		return err
	}
	p.file = file
	p.out = bufio.NewWriterSize(file, 1<<20)
	p.b = newBuilder(p.out, p.tok.VocabSize())
	_, err = p.out.Write(make([]byte, headerSize)) // flush writes the header
	return err
}

// flush finishes the shard being written. It cuts off an incomplete document at its end.
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

// close closes the shard being written, if any, and removes it unless it was committed.
func (p *preparation) close() {
	if p.file != nil {
		p.file.Close() // returns an error after a commit, which has closed it
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

// finish writes the tokenizer and the manifest.
func (p *preparation) finish() error {
	c := newTokenized(p.tok)
	c.shards = p.kept
	if err := c.index(); err != nil { // the whole text is read, and no part of it can be held out
		return errors.Join(err, p.discard())
	}
	m := manifest{
		Format: manifestFormat, Version: manifestVersion,
		Fingerprint: c.data, Tokenizer: c.tokenizer, VocabSize: c.vocab,
		BOS: c.special.bos, EOS: c.special.eos, PAD: c.special.pad, NoBOS: c.special.noBOS, AddsEOS: c.special.addsEOS,
		Documents: c.all.documents, Tokens: c.all.tokens, Sources: p.count.sources,
	}
	for i, s := range p.kept {
		m.Shards = append(m.Shards, manifestShard{shardName(i), s.tokens.size / int64(s.width)})
	}
	err := new(atomicfile.Disk).WriteFile(filepath.Join(p.dir, tokenizerName), func(w io.Writer) error {
		_, err := w.Write(p.tok.JSON())
		return err
	})
	if err != nil {
		return err
	}
	return m.write(p.dir)
}
