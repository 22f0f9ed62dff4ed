package tokenizer

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	"pgregory.net/rapid"
)

// small is trained on generated text. It is large enough to have merges of merges.
var small = sync.OnceValue(func() *Tokenizer {
	return trainOn(panicTB{}, 700, prose(200_000), []byte("Straße 漢字 漢字 жук жук жук naïve naïve 1234 1234 !?! !?! \n\n \n\n\t\t\t\t"))
})

// panicTB is a testing.TB for code that runs outside of a test.
type panicTB struct{ testing.TB }

func (panicTB) Helper()           {}
func (panicTB) Fatal(args ...any) { panic(args) }

// naiveMerge merges word by the definition: of all adjacent pairs the one with the
// lowest rank first, and of equal pairs the leftmost.
func naiveMerge(tok *Tokenizer, word []byte) []int32 {
	type pair struct{ left, right int32 }
	ranks := map[pair]int{}
	for rank, m := range tok.merges {
		ranks[pair{m.left, m.right}] = rank
	}
	var ids []int32
	for _, b := range word {
		ids = append(ids, tok.byteID[b])
	}
	for {
		best, at := len(tok.merges), -1
		for i := range len(ids) - 1 {
			if rank, ok := ranks[pair{ids[i], ids[i+1]}]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = tok.merges[best].id
		ids = slices.Delete(ids, at+1, at+2)
	}
}

func TestMergeAgainstDefinition(t *testing.T) {
	tok := small()
	text := prose(300_000)
	r := rand.New(rand.NewPCG(3, 4))
	m := merger{t: tok}
	for n := 1; n < 3*heapSize; n++ {
		for range 4 {
			begin := r.IntN(len(text) - n)
			word := text[begin : begin+n]
			want := naiveMerge(tok, word)
			// Both functions at every length, not only at those appendWord uses them for.
			m.parts = make([]part, n)
			if got := m.mergeShort(nil, word); !slices.Equal(got, want) {
				t.Fatalf("mergeShort(%q) = %v, want %v", word, got, want)
			}
			if got := m.mergeLong(nil, word); !slices.Equal(got, want) {
				t.Fatalf("mergeLong(%q) = %v, want %v", word, got, want)
			}
		}
	}
	for _, word := range []string{"aaaaaaa", "ababababab", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"} {
		if got, want := m.appendWord(nil, []byte(word)), naiveMerge(tok, []byte(word)); !slices.Equal(got, want) {
			t.Errorf("appendWord(%q) = %v, want %v", word, got, want)
		}
	}
}

// tiktoken-go, which needs only ranks and the regular expression, gives the same
// ids for valid text.
func TestEncodeAgainstTiktoken(t *testing.T) {
	tok := small()
	ranks := map[string]int{}
	for id := range int32(tok.VocabSize()) {
		if !tok.IsSpecial(id) {
			ranks[string(tok.Token(id))] = int(id)
		}
	}
	core, err := tiktoken.NewCoreBPE(ranks, nil, patterns[splitLlama3][0])
	if err != nil {
		t.Fatal(err)
	}
	oracle := tiktoken.NewTiktoken(core, &tiktoken.Encoding{}, nil)
	check := func(t interface{ Fatalf(string, ...any) }, text string) {
		var want []int32
		for _, id := range oracle.EncodeOrdinary(text) {
			want = append(want, int32(id))
		}
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Fatalf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
	check(t, string(prose(100_000)))
	rapid.Check(t, func(t *rapid.T) {
		text := string(textGen().Draw(t, "text"))
		// tiktoken-go does not fold the long s (see TestSplitAgainstRegex) or accept invalid bytes.
		if utf8.ValidString(text) && !bytes.Contains([]byte(text), []byte("'ſ")) {
			check(t, text)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	for name, tok := range map[string]*Tokenizer{"bytes": Bytes(), "trained": small(), "llama3": tinyLlama3(t)} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			text := rapid.OneOf(textGen(), rapid.SliceOf(rapid.Byte())).Draw(t, "text")
			checkRoundTrip(t, tok, text)
		}))
	}
}

// checkRoundTrip encodes text and decodes it in every way.
func checkRoundTrip(t interface{ Fatalf(string, ...any) }, tok *Tokenizer, text []byte) {
	before := []int32{7, 7, 7, 7, 7, 7, 7, 7}
	ids := tok.AppendEncode(before[:2], text)
	if ids[0] != 7 || ids[1] != 7 || len(text) == 0 && before[2] != 7 {
		t.Fatalf("AppendEncode(%q) changed what stood before", text)
	}
	ids = ids[2:]
	for _, id := range ids {
		if tok.IsSpecial(id) {
			t.Fatalf("Encode(%q) = %v has the special token %d", text, ids, id)
		}
	}
	if got, err := tok.Decode(ids); err != nil || got != string(text) {
		t.Fatalf("Decode(Encode(%q)) = %q, %v", text, got, err)
	}
	checkStream(t, tok, text)
}

// checkStream compares a stream of the tokens of a text with what they decode to.
func checkStream(t interface{ Fatalf(string, ...any) }, tok *Tokenizer, text []byte) {
	ids := tok.AppendEncode(nil, text)
	text = tok.AppendDecode(nil, ids)
	s := tok.NewStream()
	var got []byte
	for _, id := range ids {
		piece := s.Append(nil, id)
		if utf8.Valid(text) && !utf8.Valid(piece) {
			t.Fatalf("the stream of %q gives %q, which are not whole characters", text, piece)
		}
		got = append(got, piece...)
	}
	if got = s.Flush(got); !bytes.Equal(got, text) {
		t.Fatalf("the stream of %q gives %q", text, got)
	}
}

// The cache never changes the result: not for words that share a slot, nor for the
// same words at the end of a text and before others.
func TestCache(t *testing.T) {
	tok := small()
	r := rand.New(rand.NewPCG(5, 6))
	var words [][]byte
	for range 3 << shortLog {
		word := []byte{' '}
		for range r.IntN(40) {
			word = append(word, byte('a'+r.IntN(3)))
		}
		words = append(words, word)
	}
	m := merger{t: tok}
	for turn := range 2 {
		for i, word := range words {
			if len(word) == 1 {
				continue // a single space belongs to the next word
			}
			want := m.appendWord(nil, word)
			if got := tok.AppendEncode(nil, word); !slices.Equal(got, want) {
				t.Fatalf("turn %d, word %d: %q = %v, want %v", turn, i, word, got, want)
			}
			padded := append(word[:len(word):len(word)], " \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
			if got := tok.AppendEncode(nil, padded); !slices.Equal(got[:len(want)], want) {
				t.Fatalf("turn %d, word %d before others: %q = %v, want %v", turn, i, word, got, want)
			}
		}
	}
	// The key of a word of zero bytes differs from that of an empty slot only in its
	// length.
	for n := range 20 {
		zeros := make([]byte, n)
		if got := tok.AppendDecode(nil, tok.AppendEncode(nil, zeros)); !bytes.Equal(got, zeros) {
			t.Errorf("%d zero bytes come back as %q", n, got)
		}
	}
}

func TestConcurrent(t *testing.T) {
	tok := small()
	text := prose(50_000)
	want := tok.AppendEncode(nil, text)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 4 {
				if got := tok.AppendEncode(nil, text); !slices.Equal(got, want) {
					t.Errorf("goroutine %d, turn %d: other ids", i, j)
				}
			}
		})
	}
	group.Wait()
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	tok := small()
	text := prose(10_000)
	ids := tok.AppendEncode(nil, text)
	if n := testing.AllocsPerRun(10, func() { ids = tok.AppendEncode(ids[:0], text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
