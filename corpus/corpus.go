package corpus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/calm-go/calm/tokenizer"
)

// A Corpus is tokenized documents, in memory or mapped from a prepared directory.
// It is safe for concurrent use; its parts and their blocks end with it.
type Corpus struct {
	dir     string // "" in memory
	vocab   int
	special specials
	shards  []*shard

	tokenizer Fingerprint
	data      Fingerprint
	cut       bool   // every document gives its tail
	upTo      uint64 // else: the greatest hash that is held out

	all, train, heldOut Part
}

type specials struct{ bos, eos, pad int32 }

// Load gives what a command's --data means: without paths the embedded book, for
// a prepared directory what is in it (ready-made by the same tokenizer, else an
// error), and otherwise the documents of the files and directories, read into
// memory (two bytes a token, or four with more than 65536 ids). What is too much
// for that is for [Prepare].
func Load(ctx context.Context, tok *tokenizer.Tokenizer, paths ...string) (*Corpus, error) {
	switch {
	case len(paths) == 0:
		return Tokenize(ctx, Book(), tok)
	case len(paths) == 1 && IsPrepared(paths[0]):
		c, err := Open(paths[0])
		if err != nil {
			return nil, err
		}
		if c.tokenizer != TokenizerFingerprint(tok) {
			c.Close()
			return nil, fmt.Errorf("%s was prepared with another tokenizer (fingerprint %.12s, not %.12s): prepare the text again with this one", paths[0], c.tokenizer, TokenizerFingerprint(tok))
		}
		return c, nil
	}
	return Tokenize(ctx, Read(ctx, paths...), tok)
}

// Tokenize makes a corpus in memory. An error of docs ends it.
func Tokenize(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer) (*Corpus, error) {
	if err := checkSpecials(tok); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	b := newBuilder(&buf, tok.VocabSize())
	err := encodePieces(ctx, pieces(docs), tok, func(p jobPart, ids []int32) error {
		err := b.add(ids)
		if p.last {
			b.end(p.piece)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c := newTokenized(tok)
	records, _ := b.tables()
	c.shards = []*shard{{
		name: "memory", vocab: c.vocab, width: b.width,
		tokens: slices.Clip(buf.Bytes()), records: records,
	}}
	if err := c.index(); err != nil {
		return nil, err
	}
	return c, nil
}

func newTokenized(tok *tokenizer.Tokenizer) *Corpus {
	return &Corpus{
		vocab:     tok.VocabSize(),
		special:   specials{tok.BOS(), tok.EOS(), tok.PAD()},
		tokenizer: TokenizerFingerprint(tok),
	}
}

// index derives from the shards' records what is held out, the parts' sizes and
// the fingerprint.
func (c *Corpus) index() error {
	h := sha256.New()
	h.Write(c.tokenizer[:])
	binary.Write(h, binary.LittleEndian, []int32{int32(c.vocab), c.special.bos, c.special.eos, c.special.pad})
	var documents int64
	whole := false
	for _, s := range c.shards {
		h.Write(s.records)
		for i := range s.count() {
			switch recordAt(s.records, i).role {
			case tail:
				continue // counted with its head
			case head, alone:
				c.cut = true
			default:
				whole = true
			}
			documents++
		}
	}
	c.data = Fingerprint(h.Sum(nil))
	switch {
	case documents == 0:
		return errors.New("the corpus has no text")
	case whole && c.cut:
		return errors.New("whole and cut documents are mixed")
	}
	if !c.cut {
		var err error
		if c.upTo, err = heldOutUpTo(c.hashes(), documents); err != nil {
			return err
		}
	}
	c.all = Part{corpus: c, side: sideAll, name: "corpus"}
	c.train = Part{corpus: c, side: sideTrain, name: "training part"}
	c.heldOut = Part{corpus: c, side: sideHeldOut, name: "held-out part"}
	for _, p := range []*Part{&c.all, &c.train, &c.heldOut} {
		p.measure()
	}
	if c.heldOut.documents == 0 {
		return errTooSmall
	}
	return nil
}

// hashes yields the content hashes of all documents.
func (c *Corpus) hashes() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, s := range c.shards {
			for i := range s.count() {
				if !yield(recordAt(s.records, i).hash) {
					return
				}
			}
		}
	}
}

// Train returns what is not held out.
func (c *Corpus) Train() *Part { return &c.train }

// HeldOut returns the part that training does not see.
func (c *Corpus) HeldOut() *Part { return &c.heldOut }

// All returns the whole corpus, documents undivided.
func (c *Corpus) All() *Part { return &c.all }

// VocabSize returns the number of ids of the tokenizer.
func (c *Corpus) VocabSize() int { return c.vocab }

// BOS returns the id that stands in front of every document.
func (c *Corpus) BOS() int32 { return c.special.bos }

// Fingerprint identifies the tokens and their division: the same documents in the
// same order through the same tokenizer have the same one, wherever they lie. A
// run that is resumed compares it.
func (c *Corpus) Fingerprint() Fingerprint { return c.data }

// HoldingOut says in a sentence what is held out.
func (c *Corpus) HoldingOut() string {
	if c.cut {
		return fmt.Sprintf("fewer than %d different documents: the last 5 %% of each are held out", heldOutOf)
	}
	return fmt.Sprintf("%d of %d documents are held out, chosen by the hash of their text", c.heldOut.documents, c.all.documents)
}

// Verify reads all tokens of a prepared corpus and checks them, as is otherwise
// done when they are first used. progress, if not nil, is told the bytes done and
// their total.
func (c *Corpus) Verify(ctx context.Context, progress func(done, total int64)) error {
	var done, total int64
	for _, s := range c.shards {
		total += int64(len(s.tokens))
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

// Close unmaps the files of a prepared corpus. Nothing of it may be used then.
func (c *Corpus) Close() error {
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
