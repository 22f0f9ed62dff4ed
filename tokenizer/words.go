package tokenizer

const (
	// maxWordBytes is the largest number of bytes of different words that
	// training keeps: two to three million words, the most frequent ones. Their
	// pairs take about fifteen times as much memory.
	maxWordBytes = 24 << 20
	// longTrainWord is the length in bytes at which training cuts a word. Without
	// it, text without spaces would be one word.
	longTrainWord = 1 << 10
)

// A wordCounter counts the words of a corpus, in the order of their first
// occurrence.
type wordCounter struct {
	index  map[string]int32
	text   []byte   // the words, one after another
	begins []uint32 // where each word begins in text, and the end of text
	counts []int64  // of each word
	limit  int      // for len(text)
}

func newWordCounter(limit int) *wordCounter {
	return &wordCounter{index: map[string]int32{}, begins: []uint32{0}, limit: limit}
}

func (c *wordCounter) word(i int) []byte { return c.text[c.begins[i]:c.begins[i+1]] }

// add counts the words of one text.
func (c *wordCounter) add(text []byte) {
	end := 0 // of the word that text[i] is in; a long one is not scanned again for each piece
	for i := 0; i < len(text); {
		if i >= end {
			end = splitLlama3.next(text, i)
		}
		j := min(end, i+longTrainWord)
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

// prune drops the rarest words until half of the limit is free.
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
