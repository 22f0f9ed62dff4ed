package corpus

import (
	"errors"
	"fmt"
	"sort"

	"github.com/calm-go/calm/internal/plural"
)

// Kind is the kind of model that a layout is for.
type Kind int

const (
	// Language is the layout for the language model and the token-level baseline: BOS and the ids of each document, without
	// EOS or padding; or without BOS, or with EOS, as the tokenizer's post-processor has it.
	Language Kind = iota
	// Autoencoder is the layout for the autoencoder: BOS, the ids, EOS and PAD up to a whole patch for each document, so that
	// no patch has tokens of two documents. There is no BOS where the tokenizer's post-processor adds none.
	Autoencoder
)

// String names the kind.
func (k Kind) String() string {
	if k == Autoencoder {
		return "autoencoder"
	}
	return "language model"
}

// A Layout says how documents become blocks (docs/spec.md, section 1).
type Layout struct {
	Kind      Kind // Language or Autoencoder
	PatchSize int  // tokens of a patch, K, at least 1; 1 for the token-level baseline
	BlockSize int  // tokens of a block, T, a multiple of K, at least K
}

func (l Layout) validate() error {
	switch {
	case l.Kind != Language && l.Kind != Autoencoder:
		return fmt.Errorf("layout: unknown kind %d", l.Kind)
	case l.PatchSize < 1:
		return fmt.Errorf("layout: patch_size is %d; it must be at least 1", l.PatchSize)
	case l.BlockSize < 1 || l.BlockSize%l.PatchSize != 0:
		return fmt.Errorf("layout: block_size is %d; it must be a multiple of patch_size, which is %d", l.BlockSize, l.PatchSize)
	}
	return nil
}

// size returns the number of tokens that a document of n tokens takes in the stream.
func (b *Blocks) size(n int64) int64 {
	special := b.part.corpus.special
	n += special.before()
	if b.layout.Kind == Language {
		if special.addsEOS {
			n++
		}
		return n
	}
	k := int64(b.layout.PatchSize)
	return (n + 1 + k - 1) / k * k
}

// before returns the number of tokens before the ids of a document.
func (s specials) before() int64 {
	if s.noBOS {
		return 0
	}
	return 1
}

// Blocks is a part of a corpus in a layout: a stream of S tokens, cut into S/T blocks of T tokens. It is safe for
// concurrent use.
type Blocks struct {
	part   *Part
	layout Layout
	marks  []mark // every markEvery documents
	tokens int64  // S
}

// A mark is a document from which a walk through the stream can start.
type mark struct {
	at   int64 // where the document begins in the stream
	from walker
}

// markEvery is the number of documents between two marks. More marks need more memory (40 bytes each); fewer make the walk to a
// block longer.
const markEvery = 64

// errMeasured is returned for a corpus that [Measure] has made.
var errMeasured = errors.New("the corpus was measured, and has no tokens: load it to read blocks")

// ErrTooShort is returned for a part that has fewer blocks than needed.
var ErrTooShort = errors.New("not enough text")

// Blocks lays the part out. The error is [ErrTooShort] where the part is shorter than one block.
func (p *Part) Blocks(l Layout) (*Blocks, error) {
	if err := l.validate(); err != nil {
		return nil, err
	}
	if p.tokens > 0 && p.corpus.shards[0].tokens.r == nil {
		return nil, errMeasured
	}
	b := &Blocks{part: p, layout: l}
	w := walker{part: p}
	for i := 0; ; i++ {
		before := w
		s, ok, err := w.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if i%markEvery == 0 {
			b.marks = append(b.marks, mark{b.tokens, before})
		}
		b.tokens += b.size(s.tokens)
	}
	if b.Len() == 0 {
		return nil, fmt.Errorf("%w: the %s has %s (%s, laid out for the %s), which is less than one block of %d: lower block_size or give more text",
			ErrTooShort, p.name, plural.Count(b.tokens, "token"), plural.Count(p.documents, "document"), l.Kind, l.BlockSize)
	}
	return b, nil
}

// Layout returns the layout.
func (b *Blocks) Layout() Layout { return b.layout }

// Len returns the number of blocks.
func (b *Blocks) Len() int64 { return b.tokens / int64(b.layout.BlockSize) }

// Fill writes consecutive blocks into dst, [rows, block], beginning with block number first, from 0. It stops when dst is
// full or the blocks end, and returns the number of rows written. It panics if dst does not have whole rows.
func (b *Blocks) Fill(first int64, dst []int32) (rows int, err error) {
	t := b.layout.BlockSize
	if len(dst) == 0 || len(dst)%t != 0 || first < 0 {
		panic(fmt.Sprintf("corpus: Fill of %d tokens from block %d; blocks have %d", len(dst), first, t))
	}
	rows = int(max(0, min(int64(len(dst)/t), b.Len()-first)))
	return rows, b.read(dst[:rows*t], first*int64(t))
}

// read fills dst with the stream from position at on, 0 <= at < S. After its end, the stream continues at its beginning.
func (b *Blocks) read(dst []int32, at int64) error {
	for len(dst) > 0 {
		i := sort.Search(len(b.marks), func(i int) bool { return b.marks[i].at > at }) - 1
		begin, w := b.marks[i].at, b.marks[i].from
		for len(dst) > 0 {
			s, ok, err := w.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			end := begin + b.size(s.tokens)
			if at < end {
				n := int(min(end-at, int64(len(dst))))
				if err := b.readDocument(dst[:n], s, at-begin); err != nil {
					return err
				}
				dst = dst[n:]
				at += int64(n)
			}
			begin = end
		}
		at = 0
	}
	return nil
}

// readDocument fills dst with the laid-out document from position at on.
func (b *Blocks) readDocument(dst []int32, s span, at int64) error {
	c := b.part.corpus
	before := c.special.before()
	if at < before {
		dst[0] = c.special.bos
		dst, at = dst[1:], 1
	}
	if n := min(int64(len(dst)), s.tokens+before-at); n > 0 {
		if err := c.shards[s.shard].read(dst[:n], s.at+at-before); err != nil {
			return err
		}
		dst, at = dst[n:], at+n
	}
	for i := range dst {
		dst[i] = c.special.pad
		if at+int64(i) == s.tokens+before {
			dst[i] = c.special.eos
		}
	}
	return nil
}
