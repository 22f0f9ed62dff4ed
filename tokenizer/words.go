package tokenizer

const (
	// maxWordBytes bounds the bytes of the different words that training keeps
	// (their pairs take some twenty times as much).
	maxWordBytes = 128 << 20
	// longTrainWord is where training cuts a word: text without spaces would
	// otherwise be one.
	longTrainWord = 1 << 10
)

// A wordCounter counts the words of a corpus in the order in which they first
// come.
type wordCounter struct {
	index  map[string]int32
	text   []byte   // the words, one after another
	begins []uint32 // where they begin in text, and its end
	counts []int64
	limit  int // for len(text)
}

func newWordCounter(limit int) *wordCounter {
	return &wordCounter{index: map[string]int32{}, begins: []uint32{0}, limit: limit}
}

func (c *wordCounter) word(i int) []byte { return c.text[c.begins[i]:c.begins[i+1]] }

// add counts the words of one text.
func (c *wordCounter) add(text []byte) {
	for i := 0; i < len(text); {
		j := min(splitLlama3.next(text, i), i+longTrainWord)
		c.count(text[i:j], 1)
		i = j
		if len(c.text) > c.limit {
			c.prune()
		}
	}
}

func (c *wordCounter) count(word []byte, times int64) {
	if i, known := c.index[string(word)]; known {
		c.counts[i] += times
		return
	}
	c.index[string(word)] = int32(len(c.counts))
	c.text = append(c.text, word...)
	c.begins = append(c.begins, uint32(len(c.text)))
	c.counts = append(c.counts, times)
}

// prune forgets the rarest words until half of the limit is free.
func (c *wordCounter) prune() {
	for floor := int64(2); len(c.text) > c.limit/2; floor *= 2 {
		kept := newWordCounter(c.limit)
		for i, n := range c.counts {
			if n >= floor {
				kept.count(c.word(i), n)
			}
		}
		*c = *kept
	}
}
