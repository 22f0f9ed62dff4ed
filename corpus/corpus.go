package corpus

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/calm-go/calm/tokenizer"
)

// A Corpus holds tokenized documents, in memory or in files, of which it reads what is asked for. It is safe for concurrent
// use. Its parts and their blocks are valid until [Corpus.Close].
type Corpus struct {
	dir     string // "" in memory
	vocab   int
	special specials
	shards  []*shard

	tokenizer Fingerprint
	data      Fingerprint
	cut       bool   // whether the tail of every document is held out
	upTo      uint64 // if not cut, the largest hash that is held out

	all, train, heldOut Part

	notes Notes
}

// specials are the special tokens of a corpus.
type specials struct {
	bos, eos, pad  int32
	noBOS, addsEOS bool // whether documents begin without BOS, and end with EOS: what the tokenizer's post-processor does
}

// Load reads a source: the embedded book, documents from memory, a prepared directory, or the documents of files and
// directories. A prepared directory is opened; it must have been made with the same tokenizer. All else is tokenized, as by
// [Tokenize], with two bytes for each token, or four if the tokenizer has more than 65,536 ids. For large text, use [Prepare],
// which tokenizes once.
func Load(ctx context.Context, tok *tokenizer.Tokenizer, src Source) (*Corpus, error) {
	return load(ctx, tok, src, Tokenize)
}

// load is Load with the function that tokenizes documents.
func load(ctx context.Context, tok *tokenizer.Tokenizer, src Source,
	tokenize func(context.Context, iter.Seq2[Document, error], *tokenizer.Tokenizer) (*Corpus, error)) (*Corpus, error) {
	if err := src.check(); err != nil {
		return nil, err
	}
	if src.Memory {
		return tokenize(ctx, src.Documents, tok)
	}
	if src.Prepared() {
		return openWith(tok, src.Paths[0])
	}
	r, err := NewReader(src)
	if err != nil {
		return nil, err
	}
	c, err := tokenize(ctx, r.Documents(ctx), tok)
	if err != nil {
		return nil, err
	}
	c.notes = r.Notes()
	return c, nil
}

// openWith opens a prepared directory, and checks that it was made with tok.
func openWith(tok *tokenizer.Tokenizer, dir string) (*Corpus, error) {
	c, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if c.tokenizer != TokenizerFingerprint(tok) {
		c.Close()
		return nil, fmt.Errorf("%s was prepared with another tokenizer (fingerprint %.12s, not %.12s): prepare the text again with this one", dir, c.tokenizer, TokenizerFingerprint(tok))
	}
	return c, nil
}

// Tokenize makes a corpus in memory. Tokens, held-out part and [Corpus.Fingerprint] depend on the documents' texts alone, not
// on their sources. Documents without text are skipped. It returns the first error of docs. Where the tokens take more than
// 128 MiB, the rest of them is in a temporary file without a name, until [Corpus.Close].
func Tokenize(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer) (*Corpus, error) {
	tokens := &spool{limit: tokenMemory}
	c, err := tokenize(ctx, docs, tok, tokens)
	if err != nil {
		tokens.Close()
		return nil, err
	}
	c.shards[0].hold(tokens)
	return c, nil
}

// tokenMemory is how many bytes of tokens stay in memory, and recordMemory how many bytes of records.
const (
	tokenMemory  = 128 << 20
	recordMemory = 32 << 20
)

// Measure reads a source like [Load], but keeps no tokens: only the sizes of the parts are known, and no blocks can be read.
// It takes little memory, whatever the size of the text.
func Measure(ctx context.Context, tok *tokenizer.Tokenizer, src Source) (*Corpus, error) {
	return load(ctx, tok, src, func(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer) (*Corpus, error) {
		return tokenize(ctx, docs, tok, io.Discard)
	})
}

// tokenize writes the tokens of documents to w. The corpus that it returns has no tokens yet.
func tokenize(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer, w io.Writer) (*Corpus, error) {
	if err := checkSpecials(tok); err != nil {
		return nil, err
	}
	b := newBuilder(w, tok.VocabSize())
	c := newTokenized(tok)
	records := &spool{limit: recordMemory}
	err := encodePieces(ctx, pieces(c.notes.withText(docs)), tok, func(p jobPart, ids []int32) error {
		err := b.add(ids)
		if err == nil && p.last {
			b.end(p.piece)
			_, err = records.Write(b.takeRecords())
		}
		return err
	})
	s := &shard{name: "memory", vocab: c.vocab, width: b.width, records: window{r: records, size: records.size()}}
	s.closers = append(s.closers, records)
	c.shards = []*shard{s}
	if err == nil {
		err = c.index()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newTokenized(tok *tokenizer.Tokenizer) *Corpus {
	return &Corpus{
		vocab:     tok.VocabSize(),
		special:   specials{tok.BOS(), tok.EOS(), tok.PAD(), !tok.AddsBOS(), tok.AddsEOS()},
		tokenizer: TokenizerFingerprint(tok),
	}
}

// index computes the held-out part, the sizes of the parts and the fingerprint from the records of the shards.
func (c *Corpus) index() error {
	h := sha256.New()
	h.Write(c.tokenizer[:])
	binary.Write(h, binary.LittleEndian, []int32{int32(c.vocab), c.special.bos, c.special.eos, c.special.pad})
	if c.special.noBOS || c.special.addsEOS {
		fmt.Fprint(h, c.special.noBOS, c.special.addsEOS)
	}
	for _, s := range c.shards {
		if _, err := io.Copy(h, s.records.all()); err != nil {
			return s.damaged(err)
		}
	}
	c.data = Fingerprint(h.Sum(nil))
	var documents int64
	var whole bool
	var failed error
	for r := range records(c.shards, &failed) {
		switch r.role {
		case tail:
			continue // counted with its head
		case head, alone:
			c.cut = true
		default:
			whole = true
		}
		documents++
	}
	if failed != nil {
		return failed
	}
	switch {
	case documents == 0:
		return errNoText
	case whole && c.cut:
		return errors.New("whole and cut documents are mixed")
	}
	if !c.cut {
		var err error
		if c.upTo, err = heldOutUpTo(c.hashes(&failed), documents); err != nil || failed != nil {
			return cmp.Or(failed, err)
		}
	}
	c.all = Part{corpus: c, side: sideAll, name: "corpus"}
	c.train = Part{corpus: c, side: sideTrain, name: "training part"}
	c.heldOut = Part{corpus: c, side: sideHeldOut, name: "held-out part"}
	for r := range records(c.shards, &failed) {
		p := &c.train
		if c.heldOut.has(r) {
			p = &c.heldOut
		}
		p.documents++
		p.tokens += r.tokens
	}
	if failed != nil {
		return failed
	}
	c.all.documents, c.all.tokens = documents, c.train.tokens+c.heldOut.tokens
	if c.heldOut.documents == 0 {
		return errTooSmall
	}
	return nil
}

// hashes yields the content hashes of all documents. It stops at the first error and stores it in failed.
func (c *Corpus) hashes(failed *error) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for r := range records(c.shards, failed) {
			if !yield(r.hash) {
				return
			}
		}
	}
}

// Notes lists the parts of the source that were skipped. They are empty for a prepared corpus, since only [Reader.Notes] had
// them when it was prepared.
func (c *Corpus) Notes() Notes { return c.notes }

// Train returns the part for training: everything that is not held out.
func (c *Corpus) Train() *Part { return &c.train }

// HeldOut returns the held-out part, on which models are measured.
func (c *Corpus) HeldOut() *Part { return &c.heldOut }

// All returns the whole corpus, with its documents undivided.
func (c *Corpus) All() *Part { return &c.all }

// VocabSize returns the size of the tokenizer's vocabulary, V.
func (c *Corpus) VocabSize() int { return c.vocab }

// BOS returns the id of the token that begins a document; see [Corpus.AddsBOS].
func (c *Corpus) BOS() int32 { return c.special.bos }

// AddsBOS reports whether layouts put BOS before every document, as the post-processor of the tokenizer does.
func (c *Corpus) AddsBOS() bool { return !c.special.noBOS }

// AddsEOS reports whether layouts put EOS behind every document also for language models, as the post-processor of the
// tokenizer does.
func (c *Corpus) AddsEOS() bool { return c.special.addsEOS }

// Fingerprint identifies the tokens and which of them are held out. The same texts in the same order, through the same
// tokenizer, have the same fingerprint. A resumed run compares it.
func (c *Corpus) Fingerprint() Fingerprint { return c.data }

// HoldingOut returns a sentence that says what is held out.
func (c *Corpus) HoldingOut() string {
	if c.cut {
		return fmt.Sprintf("fewer than %d different documents: the last 5 %% of each are held out", heldOutOf)
	}
	return fmt.Sprintf("%d of %d documents are held out, chosen by the hash of their text", c.heldOut.documents, c.all.documents)
}

// Verify reads and checks all tokens of a prepared corpus. Without it they are checked when they are first used. progress, if
// not nil, is called after each MiB with the bytes done and their total. The error names the file and the bytes.
func (c *Corpus) Verify(ctx context.Context, progress func(done, total int64)) error {
	var done, total int64
	for _, s := range c.shards {
		total += s.tokens.size
	}
	for _, s := range c.shards {
		for chunk := range len(s.sums) / 4 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.verify(chunk); err != nil {
				return err
			}
			done = min(done+chunkSize, total)
			if progress != nil {
				progress(done, total)
			}
		}
	}
	return nil
}

// Close closes the files of the corpus. The corpus, its parts and their blocks cannot be used afterwards.
func (c *Corpus) Close() error {
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
