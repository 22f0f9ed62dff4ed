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
	last bool // the piece ends with this part
	ids  int  // number of ids
}

// encodePieces encodes pieces on all processors. It calls each with the ids of every part, in the order of the pieces. An
// error of in is returned after all pieces before it were passed to each.
func encodePieces(ctx context.Context, in iter.Seq2[piece, error], tok *tokenizer.Tokenizer, each func(jobPart, []int32) error) error {
	ctx, cancel := context.WithCancel(ctx)
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *job)
	order := make(chan *job, 2*workers)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for range workers {
		group.Go(func() {
			for j := range todo {
				for i := range j.parts {
					p := &j.parts[i]
					before := len(j.ids)
					j.ids = tok.AppendEncode(j.ids, p.Text)
					p.ids = len(j.ids) - before
				}
				close(j.done)
			}
		})
	}
	var inErr error
	group.Go(func() {
		defer close(todo)
		defer close(order)
		inErr = makeJobs(in, func(j *job) error {
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
		at := 0
		for _, p := range j.parts {
			if err := each(p, j.ids[at:at+p.ids]); err != nil {
				return err
			}
			at += p.ids
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return inErr // safe to read: it was written before order was closed
}

// makeJobs combines short pieces and cuts long ones into jobs of about jobSize bytes.
func makeJobs(in iter.Seq2[piece, error], give func(*job) error) error {
	j := newJob()
	flush := func() error {
		full := j
		j = newJob()
		if len(full.parts) == 0 {
			return nil
		}
		return give(full)
	}
	for p, err := range in {
		if err != nil {
			if err := flush(); err != nil {
				return err
			}
			return err
		}
		for rest := p.Text; len(rest) > 0; {
			n := cutAt(rest)
			part := jobPart{piece: p, last: n == len(rest)}
			part.Text, rest = rest[:n], rest[n:]
			part.to = p.upTo(len(p.Text) - len(rest))
			j.parts = append(j.parts, part)
			if j.size += n; j.size >= jobSize {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

func newJob() *job { return &job{done: make(chan struct{})} }

// cutAt returns where the first part of a text ends. That is the beginning of a line (see lineStart), so that the tokens of
// the parts are those of the whole text.
func cutAt(text []byte) int {
	for at := jobSize; at < len(text); at++ {
		if lineStart(text, at) {
			return at
		}
	}
	return len(text)
}
