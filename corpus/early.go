package corpus

import (
	"errors"
	"fmt"
	"io"

	"github.com/calm-go/calm/internal/plural"
)

// early keeps the first documents of a corpus until it is known whether they are cut in two. It does not keep the text of a
// file that can be read again.
type early struct {
	texts     map[uint64]*earlyText // the different ones, by hash
	documents []earlyDocument       // all, in order
	store     spool                 // texts that can be read only once

	doc  *earlyDocument // that goes on, or nil
	text *earlyText     // of doc
	hash contentHash
}

type earlyText struct {
	hash   uint64
	size   int64
	again  func() (io.ReadCloser, error) // nil: it is in store
	stored int64                         // where it begins there
}

type earlyDocument struct {
	text     *earlyText
	source   string
	line     int
	from, to int64
}

const (
	// earlyMemory is how many bytes of early texts stay in memory. The rest goes to a temporary file.
	earlyMemory = 32 << 20
	// maxEarly is the largest number of documents among which there are too few different ones to hold some of them out.
	maxEarly = 1 << 20
)

func newEarly() *early {
	return &early{texts: map[uint64]*earlyText{}, store: spool{limit: earlyMemory}, hash: newContentHash()}
}

// add adds a document, or the next part of one.
func (e *early) add(d Document) error {
	if e.doc == nil {
		if len(e.documents) == maxEarly {
			return fmt.Errorf("the first %s have only %s: give more different text", plural.Count(maxEarly, "document"), plural.Count(len(e.texts), "different text"))
		}
		e.text = &earlyText{again: d.again, stored: e.store.size()}
		e.documents = append(e.documents, earlyDocument{text: e.text, source: d.Source, line: d.Line, from: d.from})
		e.doc = &e.documents[len(e.documents)-1]
	}
	e.hash.Write(d.Text)
	e.text.size += int64(len(d.Text))
	if e.text.again == nil {
		if _, err := e.store.Write(d.Text); err != nil {
			return err
		}
	}
	if d.More {
		return nil
	}
	e.text.hash = e.hash.end()
	if same, ok := e.texts[e.text.hash]; ok { // a copy: it is kept once
		if e.text.again == nil {
			e.store.truncate(e.text.stored)
		}
		e.doc.text = same
	} else {
		e.texts[e.text.hash] = e.text
	}
	e.doc.to, e.doc = d.to, nil
	return nil
}

// each calls give with each document. It yields an error, and returns false, if a text cannot be read again.
func (e *early) each(yield func(piece, error) bool, give func(*earlyPiece) error) bool {
	for _, d := range e.documents {
		p := &earlyPiece{early: e, doc: d, yield: yield}
		if err := give(p); errors.Is(err, errStop) {
			return false
		} else if err != nil {
			yield(piece{}, fmt.Errorf("%s: %w", Document{Source: d.source, Line: d.line}, err))
			return false
		}
	}
	return true
}

// open returns the text from byte at on.
func (e *early) open(t *earlyText, at int64) (io.ReadCloser, error) {
	if t.again == nil {
		return io.NopCloser(io.NewSectionReader(&e.store, t.stored+at, t.size-at)), nil
	}
	r, err := t.again()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, at); err != nil {
		r.Close()
		return nil, changed(err)
	}
	return limited{io.LimitReader(r, t.size-at), r}, nil // the file may have grown
}

// limited is a reader of the first bytes of another, which it closes.
type limited struct {
	io.Reader
	io.Closer
}

// changed returns the error for a text that is shorter than it was.
func changed(err error) error {
	if errors.Is(err, io.EOF) {
		return errChanged
	}
	return err
}

var errChanged = errors.New("the text changed while it was read")

func (e *early) close() error {
	e.texts, e.documents = nil, nil
	return e.store.Close()
}

// An earlyPiece yields the pieces of an early document.
type earlyPiece struct {
	early *early
	doc   earlyDocument
	yield func(piece, error) bool
	done  int64 // bytes of the text
	hash  contentHash
}

// yieldWhole yields a document as one piece.
func yieldWhole(p *earlyPiece) error {
	r, err := p.early.open(p.doc.text, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	p.hash = newContentHash()
	if err := p.give(r, whole); err != nil {
		return err
	}
	return p.check()
}

// yieldCut yields the head and the tail of a document, or the document itself if it is too short.
func yieldCut(p *earlyPiece) error {
	t := p.doc.text
	at, err := p.tailStart()
	if err != nil {
		return err
	}
	r, err := p.early.open(t, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	p.hash = newContentHash()
	if at == 0 {
		err = p.give(r, alone)
	} else if err = p.give(io.LimitReader(r, at), head); err == nil {
		if p.done < at {
			return errChanged
		}
		err = p.give(r, tail)
	}
	if err != nil {
		return err
	}
	return p.check()
}

// tailStart returns where the tail begins. It reads only the text near that place.
func (p *earlyPiece) tailStart() (int64, error) {
	const beside = 4 // bytes that are looked at beyond the reach
	size := p.doc.text.size
	target, reach := tailNear(size)
	from, to := int64(0), size
	if size > 4<<20 {
		from, to = target-reach-beside, min(size, target+reach+beside)
	}
	r, err := p.early.open(p.doc.text, from)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	text := make([]byte, to-from)
	if _, err := fill(r, text, 0); err != nil {
		return 0, changed(err)
	}
	at := cutNear(text, int(target-from), int(reach))
	if at == 0 && from > 0 {
		at = int(target - from)
	}
	if at == 0 {
		return 0, nil
	}
	return from + int64(at), nil
}

// give yields a piece, in parts.
func (p *earlyPiece) give(r io.Reader, role role) error {
	d := p.doc
	return eachPart(r, func(text []byte, more bool) error {
		doc := Document{Text: text, Source: d.source, Line: d.line, More: more}
		doc.from = share(d.from, d.to, p.done, d.text.size)
		p.hash.Write(text)
		p.done += int64(len(text))
		doc.to = share(d.from, d.to, min(p.done, d.text.size), d.text.size)
		if !p.yield(piece{doc, d.text.hash, role}, nil) {
			return errStop
		}
		return nil
	})
}

// check returns an error if the text is not the one that was read first.
func (p *earlyPiece) check() error {
	if p.done != p.doc.text.size || p.hash.end() != p.doc.text.hash {
		return errChanged
	}
	return nil
}
