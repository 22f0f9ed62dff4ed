package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBytes(t *testing.T) {
	tok := Bytes()
	if got := []int32{int32(tok.VocabSize()), tok.BOS(), tok.EOS(), tok.PAD()}; !cmp.Equal(got, []int32{259, 256, 257, 258}) {
		t.Errorf("V, BOS, EOS, PAD = %v", got)
	}
	for b := range 256 {
		if got := tok.AppendEncode(nil, []byte{byte(b)}); !cmp.Equal(got, []int32{int32(b)}) {
			t.Errorf("byte %d has ids %v", b, got)
		}
	}
}

func TestTakingLiterals(t *testing.T) {
	tok := Bytes()
	with := tok.TakingLiterals()
	for _, c := range []struct {
		text string
		want []int32
	}{
		{"", nil},
		{"a", []int32{'a'}},
		{LiteralBOS, []int32{256}},
		{"a" + LiteralEOS + "b", []int32{'a', 257, 'b'}},
		{LiteralPAD + LiteralPAD + "[PAD", []int32{258, 258, '[', 'P', 'A', 'D'}},
		{"<" + LiteralBOS, []int32{'<', 256}},
		{LiteralBOS[:5] + LiteralEOS, append(tok.Encode(LiteralBOS[:5]), 257)},
	} {
		if got := with.Encode(c.text); !slices.Equal(got, c.want) {
			t.Errorf("Encode(%q) = %v, want %v", c.text, got, c.want)
		}
	}
	if got := len(tok.Encode(LiteralBOS)); got != len(LiteralBOS) {
		t.Errorf("Encode(%q) has %d ids", LiteralBOS, got)
	}
	if got := with.WithPAD().Encode(LiteralEOS); !slices.Equal(got, []int32{257}) || !slices.Equal(with.JSON(), tok.JSON()) {
		t.Errorf("with literals, the ids are %v, or the file differs", got)
	}
	noEnd, err := Parse([]byte(gpt2File)) // has no PAD
	if err != nil {
		t.Fatal(err)
	}
	if got := noEnd.TakingLiterals().WithPAD().Encode(LiteralPAD); !slices.Equal(got, []int32{259}) {
		t.Errorf("with PAD added, %q has ids %v", LiteralPAD, got)
	}
}

// find agrees with a plain search for the first literal in a text, the longest at
// its place.
func TestLiteralsAgainstSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contents := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab<]{1,4}`), 0, 12, rapid.ID[string]).Draw(t, "literals")
		var added []literal
		for i, c := range contents {
			added = append(added, literal{c, &addedToken{content: c, id: int32(i), special: true}})
		}
		l := newLiterals(added)
		text := rapid.StringMatching(`[abc<]{0,12}`).Draw(t, "text")
		wantAt, wantSize, wantID := len(text), 0, None
		for i, c := range contents {
			at := strings.Index(text, c)
			if at >= 0 && (at < wantAt || at == wantAt && len(c) > wantSize) {
				wantAt, wantSize, wantID = at, len(c), int32(i)
			}
		}
		size, id := 0, None
		at, found := l.find([]byte(text))
		if found != nil {
			size, id = len(found.pattern), found.id
		}
		if at != wantAt || size != wantSize || id != wantID {
			t.Fatalf("find(%q) in %q = %d, %d, %d, want %d, %d, %d", text, contents, at, size, id, wantAt, wantSize, wantID)
		}
	})
}

func TestDecode(t *testing.T) {
	tok := Bytes()
	ids := []int32{256, 'h', 'i', 258, 257}
	if got, err := tok.Decode(ids); err != nil || got != "hi" {
		t.Errorf("Decode(%v) = %q, %v", ids, got, err)
	}
	for _, id := range []int32{-1, 259, 1 << 30} {
		want := "has no token"
		if got, err := tok.Decode([]int32{'a', id}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "position 1") {
			t.Errorf("Decode of id %d = %q, %v, want an error with %q", id, got, err, want)
		}
		if got := string(tok.AppendDecode(nil, []int32{'a', id, 'b'})); got != "a\ufffdb" {
			t.Errorf("AppendDecode of id %d = %q", id, got)
		}
	}
}

func TestWithPAD(t *testing.T) {
	tok := small()
	if tok.WithPAD() != tok {
		t.Error("a tokenizer that has all three is copied")
	}
	gpt2, err := Parse([]byte(gpt2File))
	if err != nil {
		t.Fatal(err)
	}
	if gpt2.BOS() != 258 || gpt2.EOS() != 258 || gpt2.PAD() != None || gpt2.VocabSize() != 259 {
		t.Errorf("BOS, EOS, PAD, V = %d, %d, %d, %d", gpt2.BOS(), gpt2.EOS(), gpt2.PAD(), gpt2.VocabSize())
	}
	with := gpt2.WithPAD()
	if with.BOS() != 258 || with.EOS() != 258 || with.PAD() != 259 || with.VocabSize() != 260 {
		t.Errorf("with PAD: BOS, EOS, PAD, V = %d, %d, %d, %d", with.BOS(), with.EOS(), with.PAD(), with.VocabSize())
	}
	if text := "one 'two'  33"; !slices.Equal(with.Encode(text), gpt2.Encode(text)) {
		t.Errorf("ids of %q change", text)
	}
	again, err := Parse(with.JSON())
	if err != nil {
		t.Fatal(err)
	}
	sameTokenizer(t, with, again)
}

func TestStream(t *testing.T) {
	s := Bytes().NewStream()
	for _, c := range []struct {
		id   int32
		want string
	}{
		{'a', "a"},
		{0xe6, ""}, {0xbc, ""}, {0xa2, "漢"}, // a character in three pieces
		{0xf0, ""}, {0x9f, ""}, {'b', "\xf0\x9fb"}, // an incomplete one
		{0xff, "\xff"}, {0x80, "\x80"}, // bytes that are never valid
		{0xc3, ""}, {256, ""}, {0xa9, "é"}, // a special token in the middle
		{0xe2, ""}, {0xe2, "\xe2"}, {0x82, ""}, // two incomplete ones
	} {
		if got := string(s.Append(nil, c.id)); got != c.want {
			t.Errorf("id %#x gives %q, want %q", c.id, got, c.want)
		}
	}
	if got := string(s.Flush([]byte("x"))); got != "x\xe2\x82" {
		t.Errorf("Flush gives %q", got)
	}
	if got := string(s.Append([]byte("\xe6"), 0xbc, 'y')); got != "\xe6\xbcy" {
		t.Errorf("after Flush: %q", got)
	}
}
