package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/calm-go/calm/tokenizer"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var bytesTokenizer = tokenizer.Bytes()

// partTexts2 is partTexts for tests with rapid.
func partTexts2(t *rapid.T, p *Part) (texts []string) {
	for ids, err := range p.Each() {
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(bytesTokenizer.AppendDecode(nil, ids)))
	}
	return texts
}

// The layouts of three documents equal those written by hand.
func TestLayoutsByHand(t *testing.T) {
	const b, e, p = 256, 257, 258
	c := mustTokenize(t, "abcd", "ef", "ghijk")
	for _, test := range []struct {
		name   string
		part   *Part
		layout Layout
		want   []int32 // the stream
		blocks int64
	}{
		{"language", c.All(), Layout{Language, 2, 4},
			[]int32{b, 'a', 'b', 'c', 'd', b, 'e', 'f', b, 'g', 'h', 'i', 'j', 'k'}, 3},
		{"autoencoder of 1", c.All(), Layout{Autoencoder, 1, 5},
			[]int32{b, 'a', 'b', 'c', 'd', e, b, 'e', 'f', e, b, 'g', 'h', 'i', 'j', 'k', e}, 3},
		{"autoencoder of 2", c.All(), Layout{Autoencoder, 2, 4},
			[]int32{b, 'a', 'b', 'c', 'd', e, b, 'e', 'f', e, b, 'g', 'h', 'i', 'j', 'k', e, p}, 4},
		{"autoencoder of 4", c.All(), Layout{Autoencoder, 4, 8},
			[]int32{b, 'a', 'b', 'c', 'd', e, p, p, b, 'e', 'f', e, b, 'g', 'h', 'i', 'j', 'k', e, p}, 2},
		// Fewer than 20 documents: the tail of each is held out.
		{"training", c.Train(), Layout{Language, 1, 1},
			[]int32{b, 'a', 'b', 'c', b, 'e', b, 'g', 'h', 'i', 'j'}, 11},
		{"held out", c.HeldOut(), Layout{Autoencoder, 4, 4},
			[]int32{b, 'd', e, p, b, 'f', e, p, b, 'k', e, p}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			blocks, err := test.part.Blocks(test.layout)
			if err != nil {
				t.Fatal(err)
			}
			if blocks.tokens != int64(len(test.want)) || blocks.Len() != test.blocks {
				t.Errorf("%d tokens in %d blocks, want %d in %d", blocks.tokens, blocks.Len(), len(test.want), test.blocks)
			}
			got := make([]int32, len(test.want)/test.layout.BlockSize*test.layout.BlockSize)
			rows, err := blocks.Fill(0, got)
			if err != nil || int64(rows) != test.blocks {
				t.Fatalf("%d rows, %v", rows, err)
			}
			if diff := cmp.Diff(test.want[:len(got)], got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// adding returns the byte tokenizer with a post-processor that puts the given tokens before and behind a text.
func adding(t testing.TB, before, after bool) *tokenizer.Tokenizer {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(bytesTokenizer.JSON(), &file); err != nil {
		t.Fatal(err)
	}
	special := func(id int) map[string]any {
		return map[string]any{"SpecialToken": map[string]any{"id": fmt.Sprint(id), "type_id": 0}}
	}
	single := []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}}
	if before {
		single = slices.Insert(single, 0, any(special(256)))
	}
	if after {
		single = append(single, special(257))
	}
	ids := map[string]any{"256": map[string]any{"ids": []int{256}}, "257": map[string]any{"ids": []int{257}}}
	file["post_processor"] = map[string]any{"type": "TemplateProcessing", "single": single, "special_tokens": ids}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Layouts follow the post-processor of the tokenizer, in memory and prepared.
func TestLayoutsFollowPostProcessor(t *testing.T) {
	const b, e, p = 256, 257, 258
	fingerprints := map[Fingerprint]bool{}
	for _, test := range []struct {
		before, after         bool
		language, autoencoder []int32
	}{
		{false, false, []int32{'a', 'b', 'c', 'd', 'e', 'f'}, []int32{'a', 'b', 'c', e, 'd', 'e', 'f', e}},
		{true, false, []int32{b, 'a', 'b', 'c', b, 'd', 'e', 'f'}, []int32{b, 'a', 'b', 'c', e, p, b, 'd', 'e', 'f', e, p}},
		{false, true, []int32{'a', 'b', 'c', e, 'd', 'e', 'f', e}, []int32{'a', 'b', 'c', e, 'd', 'e', 'f', e}},
		{true, true, []int32{b, 'a', 'b', 'c', e, b, 'd', 'e', 'f', e}, []int32{b, 'a', 'b', 'c', e, p, b, 'd', 'e', 'f', e, p}},
	} {
		tok := adding(t, test.before, test.after)
		c, err := Tokenize(t.Context(), given("abc", "def"), tok)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		prepared, err := Prepare(t.Context(), given("abc", "def"), tok, dir, PrepareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		prepared.Close()
		if prepared, err = Open(dir); err != nil {
			t.Fatal(err)
		}
		defer prepared.Close()
		if c.Fingerprint() != prepared.Fingerprint() || fingerprints[c.Fingerprint()] {
			t.Errorf("before %t, behind %t: the fingerprint is that of another corpus", test.before, test.after)
		}
		fingerprints[c.Fingerprint()] = true
		for _, c := range []*Corpus{c, prepared} {
			if c.AddsBOS() != test.before || c.AddsEOS() != test.after {
				t.Errorf("BOS %t, EOS %t; want %t, %t", c.AddsBOS(), c.AddsEOS(), test.before, test.after)
			}
			for kind, want := range map[Kind][]int32{Language: test.language, Autoencoder: test.autoencoder} {
				blocks, err := c.All().Blocks(Layout{kind, 2, 2})
				if err != nil {
					t.Fatal(err)
				}
				got := make([]int32, len(want))
				if rows, err := blocks.Fill(0, got); err != nil || rows*2 != len(want) || blocks.Len() != int64(rows) || !slices.Equal(got, want) {
					t.Errorf("before %t, behind %t: the %s has %d (%v), want %d", test.before, test.after, kind, got, err, want)
				}
			}
		}
	}
}

// stream lays a part out in memory, unlike the package, which computes it piece by piece.
func stream(texts []string, l Layout) (ids []int32) {
	for _, text := range texts {
		ids = append(ids, bytesTokenizer.BOS())
		ids = bytesTokenizer.AppendEncode(ids, []byte(text))
		if l.Kind == Autoencoder {
			for ids = append(ids, bytesTokenizer.EOS()); len(ids)%l.PatchSize > 0; {
				ids = append(ids, bytesTokenizer.PAD())
			}
		}
	}
	return ids
}

func drawBlocks(t *rapid.T) (*Blocks, []int32) {
	texts := someTexts(rapid.IntRange(1, 200).Draw(t, "documents"), rapid.Uint64().Draw(t, "texts"))
	c, err := Tokenize(t.Context(), given(texts...), bytesTokenizer)
	if err != nil {
		t.Fatal(err)
	}
	part := rapid.SampledFrom([]*Part{c.Train(), c.HeldOut(), c.All()}).Draw(t, "part")
	k := rapid.IntRange(1, 9).Draw(t, "K")
	l := Layout{rapid.SampledFrom([]Kind{Language, Autoencoder}).Draw(t, "kind"), k, k * rapid.IntRange(1, 40).Draw(t, "L")}
	want := stream(partTexts2(t, part), l)
	blocks, err := part.Blocks(l)
	if len(want) < l.BlockSize {
		if !errors.Is(err, ErrTooShort) {
			t.Fatalf("%d tokens in blocks of %d: %v", len(want), l.BlockSize, err)
		}
		t.Skip("too short")
	}
	if err != nil {
		t.Fatal(err)
	}
	return blocks, want
}

// Blocks read anywhere have the tokens that the stream has there.
func TestBlocksAreTheStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks, want := drawBlocks(t)
		size := blocks.Layout().BlockSize
		if blocks.tokens != int64(len(want)) || blocks.Len() != int64(len(want)/size) {
			t.Fatalf("%d tokens, %d blocks; want %d, %d", blocks.tokens, blocks.Len(), len(want), len(want)/size)
		}
		first := rapid.Int64Range(0, blocks.Len()).Draw(t, "first")
		dst := make([]int32, size*rapid.IntRange(1, 5).Draw(t, "rows"))
		rows, err := blocks.Fill(first, dst)
		if err != nil || int64(rows) != min(int64(len(dst)/size), blocks.Len()-first) {
			t.Fatalf("%d rows, %v", rows, err)
		}
		if at := int(first) * size; !slices.Equal(dst[:rows*size], want[at:at+rows*size]) {
			t.Fatal("the blocks are not the stream")
		}
	})
}

// An epoch has every token of the stream once, except a remainder shorter than a
// block. Each block is a stretch of the stream, closed to a ring. Patches of the
// autoencoder's layout stay whole. No two epochs are equal.
func TestEpochHasEveryToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks, want := drawBlocks(t)
		l := blocks.Layout()
		rows := rapid.IntRange(1, int(min(blocks.Len(), 7))).Draw(t, "batch")
		batches, err := blocks.Shuffled(rapid.Uint64().Draw(t, "seed"), rows)
		if err != nil {
			t.Fatal(err)
		}
		// The place of a block is computed from its number and the offset, and then
		// compared with the stream.
		dst := make([]int32, rows*l.BlockSize)
		var seen []int
		for batches.Position().Epoch < 3 {
			before := *batches
			if err := batches.Next(dst); err != nil {
				t.Fatal(err)
			}
			for r := range rows {
				at := int(before.shift+int64(before.order.at(uint64(before.pos.Index)))*int64(l.BlockSize)) % len(want)
				if l.Kind == Autoencoder && at%l.PatchSize != 0 {
					t.Fatalf("a block begins at %d, within a patch", at)
				}
				for i, id := range dst[r*l.BlockSize : (r+1)*l.BlockSize] {
					if id != want[(at+i)%len(want)] {
						t.Fatalf("the block from %d on has id %d at %d", at, id, i)
					}
					seen = append(seen, (at+i)%len(want))
				}
				if before.pos.Index++; before.pos.Index == before.pos.Blocks {
					slices.Sort(seen)
					if n := len(slices.Compact(seen)); n != len(seen) || len(want)-n >= l.BlockSize {
						t.Fatalf("an epoch has %d different of %d places in a stream of %d", n, len(seen), len(want))
					}
					seen = seen[:0]
					before.pos.Index = 0
					before.pos.Epoch++
					before.begin()
				}
			}
		}
	})
}

// Batches that continue from a position equal those that would have followed, also
// when the position was JSON, and with another batch size.
func TestResume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks, _ := drawBlocks(t)
		size := blocks.Layout().BlockSize
		rows := rapid.IntRange(1, int(min(blocks.Len(), 7))).Draw(t, "batch")
		seed := rapid.Uint64().Draw(t, "seed")
		batches, err := blocks.Shuffled(seed, rows)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]int32, rows*size)
		next := func(b *Batches) []int32 {
			if err := b.Next(dst); err != nil {
				t.Fatal(err)
			}
			return slices.Clone(dst)
		}
		for range rapid.IntRange(0, 20).Draw(t, "before") {
			next(batches)
		}
		file, err := json.Marshal(batches.Position())
		if err != nil {
			t.Fatal(err)
		}
		var position Position
		if err := json.Unmarshal(file, &position); err != nil {
			t.Fatal(err)
		}
		resumed, err := blocks.Shuffled(seed+1, rows)
		if err != nil {
			t.Fatal(err)
		}
		single, err := blocks.Shuffled(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(resumed.Seek(position), single.Seek(position)); err != nil {
			t.Fatal(err)
		}
		one := make([]int32, size)
		for range 10 {
			want := next(batches)
			if !slices.Equal(next(resumed), want) {
				t.Fatal("resumed batches differ")
			}
			for r := range rows {
				if err := single.Next(one); err != nil || !slices.Equal(one, want[r*size:(r+1)*size]) {
					t.Fatalf("batches of one differ (%v)", err)
				}
			}
		}
	})
}

func TestBlocksRefuse(t *testing.T) {
	c := mustTokenize(t, someTexts(40, 1)...)
	for _, l := range []Layout{{Language, 0, 4}, {Language, 4, 0}, {Autoencoder, 4, 6}, {Kind(7), 1, 1}, {Language, -1, -1}} {
		if _, err := c.Train().Blocks(l); err == nil {
			t.Errorf("layout %+v is accepted", l)
		}
	}
	_, err := c.HeldOut().Blocks(Layout{Language, 4, 1 << 20})
	if !errors.Is(err, ErrTooShort) {
		t.Errorf("%v is not ErrTooShort", err)
	}
	wantError(t, err, "held-out part", fmt.Sprint(c.HeldOut().Tokens()+2, " tokens"), "1048576", "lower block_size")
	blocks, err := c.Train().Blocks(Layout{Language, 4, 128})
	if err != nil {
		t.Fatal(err)
	}
	_, err = blocks.Shuffled(1, int(blocks.Len())+1)
	wantError(t, err, "training part", fmt.Sprint(blocks.Len(), " blocks"), "lower batch_size")
	if _, err := blocks.Shuffled(1, 0); err == nil {
		t.Error("a batch of 0 is accepted")
	}
	batches, err := blocks.Shuffled(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	n := blocks.Len()
	for _, p := range []Position{{1, 0, 0, n + 1}, {1, 0, n, n}, {1, 0, -1, n}, {1, -1, 0, n}, {}} {
		if err := batches.Seek(p); err == nil {
			t.Errorf("position %+v is accepted", p)
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	c := mustTokenize(t, someTexts(500, 1)...)
	blocks, err := c.Train().Blocks(Layout{Autoencoder, 4, 64})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := blocks.Shuffled(1, 16)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]int32, 16*64)
	if n := testing.AllocsPerRun(2*int(blocks.Len()/16), func() {
		if err := batches.Next(dst); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if batches.Position().Epoch == 0 {
		t.Error("no epoch has ended")
	}
}
