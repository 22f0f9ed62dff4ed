package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/tokenizer"
	"github.com/google/go-cmp/cmp"
)

// small makes small shards, so that there are several.
var small = PrepareOptions{ShardBytes: 3000}

func mustPrepare(t testing.TB, dir string, opts PrepareOptions, texts ...string) *Corpus {
	t.Helper()
	c, err := Prepare(context.Background(), given(texts...), bytesTokenizer, dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// contents returns a directory's files.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == filelock.Name {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// A prepared corpus equals the corpus in memory, for every size of shards.
func TestPrepareIsTokenize(t *testing.T) {
	for name, texts := range map[string][]string{
		"documents": someTexts(80, 1), "one": someTexts(1, 2), "few": append(someTexts(7, 3), "x"),
	} {
		want := mustTokenize(t, texts...)
		for _, size := range []int64{1, 500, 3000, 0} {
			c := mustPrepare(t, t.TempDir(), PrepareOptions{ShardBytes: size}, texts...)
			if size == 500 && len(c.shards) < 2 && name == "documents" {
				t.Errorf("%s: %d shards", name, len(c.shards))
			}
			if c.Fingerprint() != want.Fingerprint() || c.upTo != want.upTo {
				t.Errorf("%s, shards of %d: another corpus", name, size)
			}
			m, err := readManifest(c.dir)
			if err != nil {
				t.Fatal(err)
			}
			if from := []manifestSource{{"test", int64(len(texts)), int64(len(strings.Join(texts, "")))}}; !slices.Equal(m.Sources, from) {
				t.Errorf("%s, shards of %d: sources %+v, want %+v", name, size, m.Sources, from)
			}
			for _, parts := range [][2]*Part{{c.All(), want.All()}, {c.Train(), want.Train()}, {c.HeldOut(), want.HeldOut()}} {
				if !slices.Equal(partTexts(t, parts[0]), partTexts(t, parts[1])) {
					t.Errorf("%s, shards of %d: the %s differs", name, size, parts[0].name)
				}
			}
			blocks, err := c.Train().Blocks(Layout{Autoencoder, 4, 8})
			if err != nil {
				t.Fatal(err)
			}
			wantBlocks, err := want.Train().Blocks(Layout{Autoencoder, 4, 8})
			if err != nil {
				t.Fatal(err)
			}
			got, expect := make([]int32, blocks.Len()*8), make([]int32, wantBlocks.Len()*8)
			_, err = blocks.Fill(0, got)
			if _, err2 := wantBlocks.Fill(0, expect); err != nil || err2 != nil || !slices.Equal(got, expect) {
				t.Errorf("%s, shards of %d: other blocks (%v, %v)", name, size, err, err2)
			}
		}
	}
}

// Finished documents are not tokenized again, and a complete directory is not changed.
func TestPrepareAgain(t *testing.T) {
	dir := t.TempDir()
	texts := someTexts(60, 1)
	mustPrepare(t, dir, small, texts...)
	before := contents(t, dir)
	var last Progress
	opts := small
	opts.Progress = func(p Progress) { last = p }
	texts[59] = strings.Repeat(texts[59], 20) // so that the text is longer than reportEvery
	long := strings.Repeat(texts[0], reportEvery/len(texts[0]))

	c := mustPrepare(t, dir, small, someTexts(60, 1)...)
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" || c.All().Documents() != 60 {
		t.Error("preparing again changes files")
	}
	_, err := Prepare(context.Background(), given(texts...), bytesTokenizer, dir, opts)
	wantError(t, err, "test:60", "was begun with")
	_, err = Prepare(context.Background(), given(append(someTexts(60, 1), "more")...), bytesTokenizer, dir, opts)
	wantError(t, err, "test:61", "complete")
	_, err = Prepare(context.Background(), given(someTexts(60, 1)[:50]...), bytesTokenizer, dir, opts)
	wantError(t, err, "begun with more")
	other, err := trainBPE(300, texts...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Prepare(context.Background(), given(someTexts(60, 1)...), other, dir, opts)
	wantError(t, err, "another tokenizer")
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Error("a refused preparation changes files")
	}

	os.Remove(filepath.Join(dir, manifestName))
	_, err = Prepare(context.Background(), given(someTexts(60, 1)...), other, dir, opts)
	wantError(t, err, "another tokenizer")
	_, err = Prepare(context.Background(), given(append([]string{"new"}, someTexts(60, 1)...)...), bytesTokenizer, dir, opts)
	wantError(t, err, "test:1", "was begun with")
	c, err = Prepare(context.Background(), given(append(someTexts(60, 1), long+"x", long+"y")...), bytesTokenizer, dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if last.Kept != 60 || last.Documents < 61 || last.Bytes < reportEvery || last.Tokens != last.Bytes {
		t.Errorf("progress %+v", last)
	}
}

// A cancelled or failed preparation keeps the documents that were done.
func TestPrepareCancelled(t *testing.T) {
	texts := someTexts(2000, 1)
	want := mustTokenize(t, texts...).Fingerprint()
	for name, stop := range map[string]func(cancel func(), i int) error{
		"cancelled": func(cancel func(), i int) error { cancel(); return nil },
		"failed":    func(cancel func(), i int) error { return fmt.Errorf("file:%d: disk on fire", i) },
	} {
		dir := t.TempDir()
		for _, after := range []int{300, 1700} {
			ctx, cancel := context.WithCancel(context.Background())
			docs := func(yield func(Document, error) bool) {
				i := 0
				for d := range given(texts...) {
					if i++; i == after {
						time.Sleep(20 * time.Millisecond) // so that documents being encoded are written
						if err := stop(cancel, i); err != nil {
							yield(Document{}, err)
							return
						}
					}
					if !yield(d, ctx.Err()) || ctx.Err() != nil {
						return
					}
				}
			}
			_, err := Prepare(ctx, docs, bytesTokenizer, dir, PrepareOptions{})
			if err == nil {
				t.Fatalf("%s: no error", name)
			}
			if name == "failed" {
				wantError(t, err, "disk on fire", fmt.Sprint(after-1, " documents done"))
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
			if IsPrepared(dir) {
				t.Errorf("%s: counts as prepared", name)
			}
			_, _, err = readAll("", at(dir))
			if err != nil && name == "failed" {
				wantError(t, err, "again to finish")
			}
			cancel()
		}
		if c := mustPrepare(t, dir, PrepareOptions{}, texts...); c.Fingerprint() != want {
			t.Errorf("%s: another corpus", name)
		}
	}
}

// A document that is incomplete when the preparation is cancelled is not written.
func TestPrepareCancelledWithinDocument(t *testing.T) {
	dir := t.TempDir()
	long := strings.Join(someTexts(4000, 7), "\n")
	texts := append(someTexts(30, 1), long, "last")
	ctx, cancel := context.WithCancel(context.Background())
	opts := PrepareOptions{Progress: func(Progress) { cancel() }}
	if len(long) < 2*reportEvery/3 {
		t.Fatalf("the document has %d bytes", len(long))
	}
	texts = append(texts, long+long+long)
	_, err := Prepare(ctx, given(texts...), bytesTokenizer, dir, opts)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if c := mustPrepare(t, dir, PrepareOptions{}, texts...); c.Fingerprint() != mustTokenize(t, texts...).Fingerprint() {
		t.Error("another corpus")
	}
}

// If documents cannot become a corpus, a new directory is removed, and an existing one has only the lock.
func TestPrepareLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context
		texts []string
	}{"cancelled": {ctx, someTexts(5, 1)}, "no text": {t.Context(), nil}, "too little": {t.Context(), []string{"x"}}} {
		made, there := filepath.Join(t.TempDir(), "made"), t.TempDir()
		for _, dir := range []string{made, there} {
			if _, err := Prepare(c.ctx, given(c.texts...), bytesTokenizer, dir, small); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if _, err := os.Lstat(made); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the new directory still has %v", name, contents(t, made))
		}
		if left := contents(t, there); len(left) > 0 {
			t.Errorf("%s: it left %v", name, left)
		}
	}
}

// A full disk is reported once, with the number of documents that are done.
func TestPrepareFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	// The first document fills a shard. The disk is full for the second shard, which has a complete document and an incomplete one.
	dir, texts := t.TempDir(), []string{strings.Repeat("long ", 1000), "short", strings.Repeat("more than is written at a time ", 100000)}
	full := small
	full.create = func(path string) (*os.File, error) {
		if filepath.Base(path) != shardName(0)+".tmp" {
			if err := os.Symlink("/dev/full", path); err != nil {
				t.Fatal(err)
			}
			return os.OpenFile(path, os.O_RDWR, 0)
		}
		return createNew(path)
	}
	_, err := Prepare(context.Background(), given(texts...), bytesTokenizer, dir, full)
	if !errors.Is(err, syscall.ENOSPC) || strings.Count(err.Error(), syscall.ENOSPC.Error()) != 1 {
		t.Errorf("%v", err)
	}
	wantError(t, err, "1 document done", "continues from there")
	mustPrepare(t, dir, small, texts...)
}

// TestPrepareFollowsNoLink: a link in the place of a shard, the tokenizer or the manifest is replaced, and what it leads to stays.
func TestPrepareFollowsNoLink(t *testing.T) {
	texts := someTexts(60, 1)
	for _, name := range []string{shardName(0) + ".tmp", shardName(1) + ".tmp", shardName(1), tokenizerName, filelock.Name} {
		dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
		mustPrepare(t, dir, small, texts...)
		if err := errors.Join(os.Remove(filepath.Join(dir, manifestName)), os.WriteFile(target, []byte("mine"), 0o666),
			os.RemoveAll(filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
		_, err := Prepare(context.Background(), given(texts...), bytesTokenizer, dir, small)
		if lock := name == filelock.Name; (err != nil) != lock {
			t.Errorf("%s: %v", name, err)
		}
		if data, err := os.ReadFile(target); err != nil || string(data) != "mine" {
			t.Errorf("%s: the target of the link has %.40q, %v", name, data, err)
		}
	}
}

func TestPrepareLocks(t *testing.T) {
	dir := t.TempDir()
	lock, err := filelock.Acquire(filepath.Join(dir, filelock.Name))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Prepare(context.Background(), given(someTexts(20, 1)...), bytesTokenizer, dir, small)
	lock.Close()
	if err == nil {
		t.Skip("no locks here")
	}
	wantError(t, err, "another process")
	mustPrepare(t, dir, small, someTexts(20, 1)...)
}

func TestPreparedTokenizer(t *testing.T) {
	texts := someTexts(50, 1)
	bpe, err := trainBPE(400, texts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []*tokenizer.Tokenizer{bpe, tokenizer.Bytes()} {
		dir := t.TempDir()
		c, err := Prepare(context.Background(), given(texts...), tok, dir, small)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		back, err := PreparedTokenizer(dir)
		if err != nil {
			t.Fatal(err)
		}
		if TokenizerFingerprint(back) != c.tokenizer || TokenizerFingerprint(back) != TokenizerFingerprint(tok) {
			t.Error("another tokenizer")
		}
		for i, ids := range collect(t, c.All()) {
			if got := string(back.AppendDecode(nil, ids)); got != texts[i] {
				t.Errorf("document %d is %q", i, got)
			}
		}
	}
}

func collect(t testing.TB, p *Part) (all [][]int32) {
	for ids, err := range p.Each() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slices.Clone(ids))
	}
	return all
}

// With more than 65536 ids a token takes four bytes.
func TestWideTokens(t *testing.T) {
	var b bytes.Buffer
	w := newBuilder(&b, 1<<16+1)
	ids := []int32{0, 65535, 65536, 7}
	if err := w.add(ids); err != nil {
		t.Fatal(err)
	}
	w.end(piece{})
	s := &shard{vocab: 1<<16 + 1, width: w.width, tokens: window{r: bytes.NewReader(b.Bytes()), size: int64(b.Len())}}
	got := make([]int32, len(ids))
	if err := s.read(got, 0); err != nil || !slices.Equal(got, ids) || idWidth(1<<16) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}
