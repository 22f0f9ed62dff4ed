package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naiveTrain counts all pairs anew for every merge.
func naiveTrain(texts [][]byte, merges int) []merge {
	counts := map[string]int{}
	for _, text := range texts {
		for _, w := range wordsOf(splitLlama3, text) {
			counts[w]++
		}
	}
	words := map[string][]int32{}
	for w := range counts {
		for _, b := range []byte(w) {
			words[w] = append(words[w], int32(b))
		}
	}
	var found []merge
	for len(found) < merges {
		pairs := map[[2]int32]int{}
		for w, ids := range words {
			for i := range len(ids) - 1 {
				pairs[[2]int32{ids[i], ids[i+1]}] += counts[w]
			}
		}
		best, most := [2]int32{}, 1
		for p, n := range pairs {
			if n > most || n == most && n > 1 && slices.Compare(p[:], best[:]) < 0 {
				best, most = p, n
			}
		}
		if most < 2 {
			break
		}
		m := merge{best[0], best[1], int32(256 + len(found))}
		found = append(found, m)
		for w, ids := range words {
			for i := 0; i+1 < len(ids); i++ {
				if ids[i] == m.left && ids[i+1] == m.right {
					ids[i] = m.id
					ids = slices.Delete(ids, i+1, i+2)
				}
			}
			words[w] = ids
		}
	}
	return found
}

func TestTrainBPEAgainstDefinition(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, texts [][]byte, vocab int) {
		tok, err := TrainBPE(context.Background(), slices.Values(texts), vocab, nil)
		if err != nil {
			t.Fatalf("%v", err)
		}
		want := naiveTrain(texts, vocab-MinVocab)
		if fmt.Sprint(tok.merges) != fmt.Sprint(want) {
			t.Fatalf("texts %q: merges %v, want %v", texts, tok.merges, want)
		}
	}
	check(t, [][]byte{prose(20_000)}, 500)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(textGen(), rapid.Map(rapid.StringMatching(`[ab ]{0,60}`), func(s string) []byte { return []byte(s) }))
		check(t, rapid.SliceOfN(text, 0, 4).Draw(t, "texts"), rapid.IntRange(MinVocab, MinVocab+40).Draw(t, "vocab"))
	})
}

func TestTrainBPE(t *testing.T) {
	text := prose(100_000)
	tok := trainOn(t, 1000, text)
	if got := []int32{int32(tok.VocabSize()), tok.BOS(), tok.EOS(), tok.PAD()}; !cmp.Equal(got, []int32{1000, 997, 998, 999}) {
		t.Errorf("V, BOS, EOS, PAD = %v", got)
	}
	for b := range int32(256) {
		if got := tok.Token(b); !bytes.Equal(got, []byte{byte(b)}) {
			t.Errorf("token %d is %q", b, got)
		}
	}
	ids := tok.AppendEncode(nil, text)
	if ratio := float64(len(text)) / float64(len(ids)); ratio < 2 {
		t.Errorf("%.2f bytes a token: the merges do not fit the text", ratio)
	}
	if got := tok.AppendDecode(nil, ids); !bytes.Equal(got, text) {
		t.Error("the text does not decode to itself")
	}
	// The same words, divided into texts differently, give the same vocabulary.
	lines := bytes.SplitAfter(text, []byte("\n\n"))
	if a, b := trainOn(t, 1000, lines...), trainOn(t, 1000, lines...); !bytes.Equal(a.JSON(), b.JSON()) {
		t.Error("trained again, the vocabulary differs")
	}
}

func TestTrainBPESmall(t *testing.T) {
	for _, texts := range [][][]byte{nil, {nil}, {[]byte("abc")}} {
		tok := trainOn(t, 300, texts...)
		if tok.VocabSize() != MinVocab || len(tok.merges) != 0 {
			t.Errorf("from %q: %d ids, %d merges, want the bytes alone", texts, tok.VocabSize(), len(tok.merges))
		}
		checkRoundTrip(t, tok, []byte("any text\xff"))
	}
}

func TestTrainBPEErrors(t *testing.T) {
	for _, v := range []int{-1, 0, MinVocab - 1, MaxVocab + 1} {
		if _, err := TrainBPE(context.Background(), slices.Values([][]byte{}), v, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("a vocabulary of %d: want", v)) {
			t.Errorf("vocabulary of %d: %v", v, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := TrainBPE(ctx, slices.Values([][]byte{[]byte("a")}), 300, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while counting: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	stop := func(p TrainProgress) {
		if p.Merges > 0 {
			cancel()
		}
	}
	if _, err := TrainBPE(ctx, slices.Values([][]byte{prose(50_000)}), 1000, stop); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while merging: %v", err)
	}
}

func TestTrainBPEProgress(t *testing.T) {
	text := prose(3 << 20)
	var last TrainProgress
	calls := 0
	_, err := TrainBPE(context.Background(), slices.Chunk(text, 10_000), 600, func(p TrainProgress) {
		if p.Bytes < last.Bytes || p.Merges < last.Merges || p.Want != 600-MinVocab {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
		calls++
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Bytes != int64(len(text)) || last.Merges != 600-MinVocab || last.Words == 0 || calls < 5 {
		t.Errorf("%d calls, the last with %+v", calls, last)
	}
}

// With little memory, rare words are dropped and frequent ones are kept.
func TestWordCounterPrune(t *testing.T) {
	fillClasses()
	c := newWordCounter(1000)
	for i := range 500 {
		c.add(fmt.Appendf(nil, "often also w%dx", i))
		if i == 400 {
			c.add(bytes.Repeat([]byte("z"), 5000)) // more than the limit in one text
		}
	}
	if len(c.text) > 1000 {
		t.Errorf("%d bytes of words, more than the limit", len(c.text))
	}
	got := map[string]int64{}
	for i, n := range c.counts {
		got[string(c.word(i))] = n
	}
	if got["often"] != 500 || got[" also"] != 500 {
		t.Errorf("frequent words are counted %d and %d times, want 500", got["often"], got[" also"])
	}
	if len(got) > 150 {
		t.Errorf("%d words are left", len(got))
	}
}
