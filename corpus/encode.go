package corpus

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"

	"github.com/calm-go/calm/tokenizer"
)

// jobSize is about the number of bytes of text in a job. Longer documents are divided among jobs; shorter ones share one.
const jobSize = 256 << 10

// maxJobs is the largest number of jobs that wait, each with text and ids of about two MiB.
const maxJobs = 64

// checkSpecials returns an error for a tokenizer without the special tokens that layouts need.
func checkSpecials(tok *tokenizer.Tokenizer) error {
	if tok.BOS() < 0 || tok.EOS() < 0 || tok.PAD() < 0 {
		return errors.New("the tokenizer lacks a token with a known name for the beginning of a document, its end, or padding, such as " +
			tokenizer.LiteralBOS + ", " + tokenizer.LiteralEOS + " and " + tokenizer.LiteralPAD + ": add them to its added_tokens")
	}
	return nil
}

// A job holds text to encode. Its ids are complete once done is closed.
type job struct {
	parts []jobPart
	size  int // bytes of text
	ids   []int32
	done  chan struct{}
}

// A jobPart is a piece or a part of one.
type jobPart struct {
	piece
	rest bool // the piece does not begin with this part
	last bool // the piece ends with this part
	ids  int  // number of ids
}

// encodePieces encodes pieces on all processors. It calls each with the ids of every part, in the order of the pieces. An
// error of in is returned after all pieces before it were passed to each.
func encodePieces(ctx context.Context, in iter.Seq2[piece, error], tok *tokenizer.Tokenizer, each func(jobPart, []int32) error) error {
	ctx, cancel := context.WithCancel(ctx)
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *job)
	used := make(chan []int32, maxJobs) // ids that jobs need no more, for others
	order := make(chan *job, min(2*workers, maxJobs))
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for range workers {
		group.Go(func() {
			for j := range todo {
				select {
				case ids := <-used:
					j.ids = ids[:0]
				default:
				}
				j.encode(tok)
				close(j.done)
			}
		})
	}
	var inErr error
	group.Go(func() {
		defer close(todo)
		defer close(order)
		inErr = makeJobs(in, tok.Words(), func(j *job) error {
			select {
			case order <- j: // workers never wait for room in this channel
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case todo <- j:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for j := range order {
		select {
		case <-j.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := j.each(each); err != nil {
			return err
		}
		select {
		case used <- j.ids:
		default:
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return inErr // safe to read: it was written before order was closed
}

// makeJobs combines short pieces and divides long ones into jobs of about jobSize bytes. Where the tokenizer has no pattern,
// or does more than cutting text into words (words is false), the parts of a piece are put together again up to the next
// place where a text is cut in any case: a longer text can have other ids in two.
func makeJobs(in iter.Seq2[piece, error], words bool, give func(*job) error) error {
	j := newJob()
	flush := func() error {
		full := j
		j = newJob()
		if len(full.parts) == 0 {
			return nil
		}
		return give(full)
	}
	var lines lineCutter
	var held []byte // of the piece, not in a job yet
	begun := false  // a part of the piece is in a job
	for p, err := range in {
		if err != nil {
			if err := flush(); err != nil {
				return err
			}
			return err
		}
		before := p.from
		for rest := p.Text; ; {
			n, cut := lines.next(rest)
			part := jobPart{piece: p, last: n == len(rest) && !p.More}
			part.Text, rest = rest[:n], rest[n:]
			part.to = share(before, p.to, int64(len(p.Text)-len(rest)), int64(len(p.Text)))
			if !words && !cut && !part.last && len(held)+n < maxHeld {
				held = append(held, part.Text...)
			} else if n > 0 || len(held) > 0 || part.last {
				if len(held) > 0 {
					part.Text, held = append(held, part.Text...), nil
				}
				part.rest, begun = begun, true
				j.parts = append(j.parts, part)
				j.size += len(part.Text)
			}
			if j.size >= jobSize {
				if err := flush(); err != nil {
					return err
				}
			}
			if len(rest) == 0 {
				break
			}
		}
		if !p.More {
			lines, begun = lineCutter{}, false
		}
	}
	return flush()
}

func newJob() *job { return &job{done: make(chan struct{})} }

// maxHeld is the number of bytes from which a text without line starts is cut all the same, for a tokenizer without a pattern.
const maxHeld = 2 * jobSize

// A lineCutter cuts a piece where lines start (see lineStart), at least jobSize bytes apart. Prepared corpora have the ids of
// a text that is cut there.
type lineCutter struct {
	since int  // bytes since the last cut, or the beginning of the piece
	last  byte // the byte before
}

// next returns how many bytes of text, which is the rest of a part, come before a cut, and whether there is one at its end.
func (l *lineCutter) next(text []byte) (n int, cut bool) {
	for at := max(0, jobSize-l.since); at < len(text); at++ {
		before := l.last
		if at > 0 {
			before = text[at-1]
		}
		if startsLine(before, text[at]) {
			l.since, l.last = 0, before
			return at, true
		}
	}
	l.since += len(text)
	if len(text) > 0 {
		l.last = text[len(text)-1]
	}
	return len(text), false
}

// encode appends the ids of all parts.
func (j *job) encode(tok *tokenizer.Tokenizer) {
	for i := range j.parts {
		p := &j.parts[i]
		before := len(j.ids)
		if p.rest {
			j.ids = tok.AppendEncodeRest(j.ids, p.Text)
		} else {
			j.ids = tok.AppendEncode(j.ids, p.Text)
		}
		p.ids = len(j.ids) - before
	}
}

// each calls f with every part and its ids.
func (j *job) each(f func(jobPart, []int32) error) error {
	at := 0
	for _, p := range j.parts {
		if err := f(p, j.ids[at:at+p.ids]); err != nil {
			return err
		}
		at += p.ids
	}
	return nil
}
