package corpus

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The held-out documents do not depend on the order of the documents.
func TestHeldOutIndependentOfOrder(t *testing.T) {
	texts := someTexts(300, 1)
	texts = append(texts, texts[:40]...) // copies
	want := partTexts(t, mustTokenize(t, texts...).HeldOut())
	slices.Sort(want)
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		r.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		got := partTexts(t, mustTokenize(t, texts...).HeldOut())
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatal("another order holds out other documents")
		}
	}
	if len(want) < 15 || len(want) > 19 {
		t.Errorf("%d of 340 documents are held out, want about 17", len(want))
	}
}

func TestHeldOutShare(t *testing.T) {
	for n, want := range map[int]int64{20: 1, 29: 1, 30: 2, 100: 5, 1000: 50} {
		c := mustTokenize(t, someTexts(n, 2)...)
		if got := c.HeldOut().Documents(); got != want {
			t.Errorf("%d of %d documents are held out, want %d", got, n, want)
		}
		if got := c.Train().Documents(); got != int64(n)-want {
			t.Errorf("%d of %d documents are for training", got, n)
		}
	}
}

// For all documents: no text is in both parts, neither part is empty, together they
// are the whole corpus, and 5 % are held out, as far as copies allow.
func TestHeldOutProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := someTexts(rapid.IntRange(1, 60).Draw(t, "different"), 3)
		n := len(texts)
		for range rapid.IntRange(0, 3).Draw(t, "copied") {
			i := rapid.IntRange(0, n-1).Draw(t, "which")
			for range rapid.IntRange(1, 50).Draw(t, "copies") {
				texts = append(texts, texts[i])
			}
		}
		c, err := Tokenize(t.Context(), given(texts...), bytesTokenizer)
		if err != nil {
			t.Fatal(err)
		}
		if got := partTexts2(t, c.All()); !slices.Equal(got, texts) {
			t.Fatalf("the corpus differs from the documents")
		}
		train, heldOut := partTexts2(t, c.Train()), partTexts2(t, c.HeldOut())
		if len(train) == 0 || len(heldOut) == 0 {
			t.Fatalf("%d documents for training, %d held out", len(train), len(heldOut))
		}
		if n < heldOutOf {
			for i, text := range texts {
				if train[i]+heldOut[i] != text {
					t.Fatalf("%q + %q is not %q", train[i], heldOut[i], text)
				}
			}
			return
		}
		for _, text := range heldOut {
			if slices.Contains(train, text) {
				t.Fatalf("%q is in both parts", text)
			}
		}
		both := slices.Sorted(slices.Values(append(train, heldOut...)))
		if !slices.Equal(both, slices.Sorted(slices.Values(texts))) {
			t.Fatal("the parts are not the whole")
		}
		if len(texts) == n && len(heldOut) != (n+10)/20 {
			t.Fatalf("%d of %d held out", len(heldOut), n)
		}
	})
}

func TestHeldOutUpTo(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, n := range []int{1 << 16, 1000, 20} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = r.Uint64() >> (i % 3) // not even
		}
		upTo, err := heldOutUpTo(slices.Values(hashes), int64(n))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(hashes)
		if want := hashes[(n+10)/20-1]; upTo != want {
			t.Errorf("n=%d: %x, want %x", n, upTo, want)
		}
	}
	// 100 documents, a budget of 5; copies decide.
	for name, c := range map[string]struct {
		copies map[uint64]int // by hash
		want   int            // held out
	}{
		"rounded down":             {map[uint64]int{1: 4, 2: 50, 3 << 50: 46}, 4},
		"rounded up":               {map[uint64]int{1: 1, 2: 6, 3 << 50: 93}, 7},
		"in another bucket":        {map[uint64]int{1: 4, 2 << 50: 50, 3 << 50: 46}, 4},
		"the first too many":       {map[uint64]int{1: 60, 2: 40}, 60},
		"the last is all the rest": {map[uint64]int{1: 1, 2 << 50: 99}, 1},
	} {
		var hashes []uint64
		for h, n := range c.copies {
			hashes = append(hashes, slices.Repeat([]uint64{h}, n)...)
		}
		upTo, err := heldOutUpTo(slices.Values(hashes), 100)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, h := range hashes {
			if h <= upTo {
				got++
			}
		}
		if got != c.want {
			t.Errorf("%s: %d held out, want %d", name, got, c.want)
		}
	}
	if _, err := heldOutUpTo(slices.Values([]uint64{7, 7, 7}), 3); err == nil {
		t.Error("copies of one text are divided")
	}
}

func TestTailStart(t *testing.T) {
	words := strings.Repeat("word ", 1000)
	lines := strings.Repeat("Some line of text.\n", 1000)
	for name, c := range map[string]struct {
		text string
		ok   func(at int) bool
	}{
		"lines":      {lines, func(at int) bool { return at%19 == 0 }},
		"words":      {words, func(at int) bool { return words[at] == ' ' }},
		"no spaces":  {strings.Repeat("x", 1000), func(at int) bool { return at == 950 }},
		"runes":      {strings.Repeat("鯨", 1000), func(at int) bool { return at%3 == 0 }},
		"not UTF-8":  {strings.Repeat("\x80", 1000), func(at int) bool { return true }},
		"two":        {"ab", func(at int) bool { return at == 1 }},
		"two runes":  {"é鯨", func(at int) bool { return at == 2 }},
		"one":        {"x", func(at int) bool { return at == 0 }},
		"one rune":   {"鯨", func(at int) bool { return at == 0 }},
		"no start":   {"\x80\x80", func(at int) bool { return at == 0 }},
		"all spaces": {strings.Repeat(" ", 100), func(at int) bool { return at == 95 }},
	} {
		target, reach := tailNear(int64(len(c.text)))
		at := cutNear([]byte(c.text), int(target), int(reach))
		if name == "not UTF-8" {
			if at != 0 {
				t.Errorf("%s: %d", name, at)
			}
			continue
		}
		if !c.ok(at) || at < 0 || at >= len(c.text) {
			t.Errorf("%s: the tail begins at %d of %d", name, at, len(c.text))
		}
		if n := len(c.text); n >= 100 && (at < n*92/100 || at > n*98/100) {
			t.Errorf("%s: the tail begins at %d of %d, which is not 95 %%", name, at, n)
		}
		if utf8.ValidString(c.text) && !utf8.ValidString(c.text[at:]) {
			t.Errorf("%s: the tail begins within a character", name)
		}
	}
}
