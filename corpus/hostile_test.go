package corpus

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/calm-go/calm/internal/memtest"
)

// Links to directories are followed, loops excepted, and each file is read once. The root may be a link.
func TestLinkedDirectories(t *testing.T) {
	outside := put(t, map[string]string{"data/a.txt": "a", "data/sub/b.txt": "b", "blobs/123": `{"text":"c"}`, ".hidden/d.txt": "d", "e.txt": "e"})
	root := filepath.Join(outside, "root")
	for _, dir := range []string{root, filepath.Join(root, "real")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "real", "f.txt"), []byte("f"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"0first": "real", "data": "../data", "again": "../data/sub", "c.jsonl": "../blobs/123", "blobs": "../blobs", "copy.jsonl": "../blobs/123",
		"seen": "../.hidden", "loop": ".", "real/up": "..", "circle": "circle", "nowhere": "missing", "e.txt": "../e.txt", ".link": "../e.txt",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Skip(err)
		}
	}
	link := filepath.Join(outside, "link")
	if err := os.Symlink("root", link); err != nil {
		t.Fatal(err)
	}
	want := []string{"again/b.txt b", "c.jsonl:1 c", "data/a.txt a", "e.txt e", "real/f.txt f", "seen/d.txt d"}
	for _, dir := range []string{root, link, link + "/", filepath.Join(root, "loop", "loop")} {
		got, notes, err := readAll(filepath.Clean(dir), at(dir))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", dir, err, diff)
		}
		lines := strings.ReplaceAll(strings.Join(notes.Lines(), "\n"), filepath.Clean(dir)+"/", "")
		for _, line := range []string{"skipped 1 (hidden): .link", "links to nothing): circle, nowhere", "other names of files that are read): ", "links to directories that are read already): 0first, loop"} {
			if !strings.Contains(lines, line) {
				t.Errorf("%s: no note %q in:\n%s", dir, line, lines)
			}
		}
	}
}

// A text that becomes shorter, and a file of tokens, is an error, not a fault. Text that is added does not matter.
func TestFileShrinks(t *testing.T) {
	dir := put(t, map[string]string{"a.txt": strings.Repeat("some words\n", 200_000), "b.jsonl": strings.Repeat("{\"text\":\"some words\"}\n", 100_000)})
	for _, name := range []string{"a.txt", "b.jsonl"} {
		path := filepath.Join(dir, name)
		n := 0
		var last error
		for _, err := range reader(t, path).Documents(context.Background()) {
			last = err
			if n++; n == 1 {
				if err := os.Truncate(path, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantError(t, last, name, "has become shorter")
	}
	// Between the two readings of a text that is cut in two.
	path := filepath.Join(dir, "c.txt")
	change := func(how func() error) error {
		if err := os.WriteFile(path, []byte(strings.Repeat("some words\n", 200_000)), 0o666); err != nil {
			t.Fatal(err)
		}
		docs := func(yield func(Document, error) bool) {
			for d, err := range reader(t, path).Documents(context.Background()) {
				if !yield(d, err) {
					return
				}
			}
			if err := how(); err != nil {
				t.Error(err)
			}
		}
		_, err := Tokenize(context.Background(), docs, bytesTokenizer)
		return err
	}
	wantError(t, change(func() error { return os.Truncate(path, 1<<20) }), "c.txt", "changed while it was read")
	wantError(t, change(func() error { return os.WriteFile(path, bytes.Repeat([]byte("other word\n"), 200_000), 0o666) }), "c.txt", "changed")
	wantError(t, change(func() error { return os.Remove(path) }), "c.txt", "no such file")
	err := change(func() error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("more")
		}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		t.Errorf("text that was added: %v", err)
	}
	prepared := t.TempDir()
	mustPrepare(t, prepared, PrepareOptions{}, someTexts(3000, 1)...)
	c, err := Open(prepared)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	blocks, err := c.Train().Blocks(Layout{Language, 1, 512})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := blocks.Shuffled(1, 4)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, 4*512)
	if err := batches.Next(ids); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(prepared, shardName(0)), 300); err != nil {
		t.Fatal(err)
	}
	for range blocks.Len() {
		if err = batches.Next(ids); err != nil {
			break
		}
	}
	wantError(t, err, shardName(0), "has become shorter")
	wantError(t, c.Verify(context.Background(), nil), shardName(0), "has become shorter")
}

// Reading prepared blocks allocates nothing.
func TestPreparedBlocksAllocateNothing(t *testing.T) {
	c := mustPrepare(t, t.TempDir(), PrepareOptions{}, someTexts(3000, 1)...)
	blocks, err := c.Train().Blocks(Layout{Autoencoder, 4, 512})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := blocks.Shuffled(1, 4)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, 4*512)
	if n := testing.AllocsPerRun(100, func() {
		if err := batches.Next(ids); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// A table of strings of every length, with every encoding, compression and version, is read as the library wrote it.
func TestParquetStrings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := someTexts(300, 5)
	var texts []string
	for i := range 400 {
		switch i % 8 {
		case 0:
			texts = append(texts, words[r.IntN(len(words))])
		case 1:
			texts = append(texts, "")
		case 2:
			texts = append(texts, strings.Repeat("x", r.IntN(3000)))
		case 3:
			texts = append(texts, texts[r.IntN(len(texts))])
		case 4: // what does not compress
			b := make([]byte, r.IntN(2000))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			texts = append(texts, string(b))
		default:
			texts = append(texts, words[i%40]+words[(i+1)%40])
		}
	}
	texts[100] = strings.Join(words, " ") + strings.Repeat("a long text. ", 50_000)
	type plain struct {
		Text string `parquet:"text,plain"`
	}
	type dict struct {
		Text string `parquet:"text,dict"`
	}
	type length struct {
		Text string `parquet:"text,delta"`
	}
	type null struct {
		Meta *struct {
			Text *string `parquet:"text,optional"`
		} `parquet:"meta,optional"`
	}
	checked := 0
	for codec, c := range map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd, "brotli": &parquet.Brotli} {
		for version := 1; version <= 2; version++ {
			for _, page := range []int{100, 10_000, 1 << 20} {
				o := []parquet.WriterOption{parquet.Compression(c), parquet.DataPageVersion(version), parquet.PageBufferSize(page)}
				files := map[string][]byte{
					"plain":  tableOf(t, texts, o, func(s string) plain { return plain{s} }),
					"dict":   tableOf(t, texts, o, func(s string) dict { return dict{s} }),
					"length": tableOf(t, texts, o, func(s string) length { return length{s} }),
					"delta": tableOf(t, texts, append(o, parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.DeltaByteArray)), func(s string) struct {
						Text string `parquet:"text"`
					} {
						return struct {
							Text string `parquet:"text"`
						}{s}
					}),
					"null": tableOf(t, texts, o, func(s string) (n null) {
						if s != "" {
							n.Meta = &struct {
								Text *string `parquet:"text,optional"`
							}{&s}
						}
						return n
					}),
				}
				for name, file := range files {
					f := field(DefaultField)
					if name == "null" {
						f = "meta.text"
					}
					var got []string
					err := scanParquet(bytes.NewReader(file), int64(len(file)), "file", f, &rows{}, func(d Document) error {
						got = append(got, string(d.Text))
						return nil
					})
					if err != nil || !slices.Equal(got, texts) {
						t.Errorf("%s, %s, version %d, pages of %d: other texts (%v)", name, codec, version, page, err)
					}
					checked++
				}
			}
		}
	}
	if checked != 150 {
		t.Errorf("%d files", checked)
	}
}

func tableOf[T any](t *testing.T, texts []string, o []parquet.WriterOption, row func(string) T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, o...)
	for _, text := range texts {
		if _, err := w.Write([]T{row(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Headers whose sizes cannot be are refused before anything of that size is allocated.
func TestParquetSizes(t *testing.T) {
	hostile, err := os.ReadFile(filepath.Join("testdata", "sizes.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	done := memtest.Within(t, len(hostile), 16<<20)
	if _, err := scan(t, hostile); err == nil {
		t.Error("a damaged file gives no error")
	}
	done()
	// A footer with a list of two thousand million row groups.
	good := parquetSeeds(t)["plain/none/v1"]
	n := bytes.LastIndex(good[:len(good)-8], []byte{0x19, 0x2c}) // field 4, a list of two structs
	if n < 0 {
		t.Fatal("no list of row groups")
	}
	bad := slices.Concat(good[:n], []byte{0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07}, good[n+2:])
	bad[len(bad)-8] += 5
	done = memtest.Within(t, len(bad), 16<<20)
	_, err = scan(t, bad)
	done()
	wantError(t, err, "footer")
}

// A zstd file that needs a large window is refused with a sentence.
func TestZstdWindow(t *testing.T) {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00} // a window of 2^30 bytes, and an empty last block
	dir := put(t, map[string]string{"a.txt.zst": string(frame), "b.jsonl.zst": string(frame)})
	for _, name := range []string{"a.txt.zst", "b.jsonl.zst"} {
		done := memtest.Within(t, len(frame), 16<<20)
		_, _, err := readAll(dir, at(filepath.Join(dir, name)))
		done()
		wantError(t, err, name, "window", "--long")
	}
}

// The opening of a pipe that nobody writes to ends with the context, and a pipe is opened once.
func TestPipes(t *testing.T) {
	dir := t.TempDir()
	once := func(path string) Source { return Source{Paths: []string{path}, Input: strings.NewReader("")} }
	for name, content := range map[string]string{"a.txt": "some text", "b.txt.gz": gz(t, "some text"), "c.jsonl": `{"text":"some text"}`, "d": "some text"} {
		silent, path := filepath.Join(dir, "silent."+name), filepath.Join(dir, name)
		makePipe(t, silent)
		makePipe(t, path)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		var last error
		r, err := NewReader(once(silent))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range r.Documents(ctx) {
			last = err
		}
		if cancel(); !errors.Is(last, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, last)
		}
		go func() { // a second opening would wait for a second writer
			w, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = w.WriteString(content)
				err = errors.Join(err, w.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}()
		ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
		c, err := Load(ctx, bytesTokenizer, once(path))
		if cancel(); err != nil || c.All().Tokens() != 9 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := NewReader(at(filepath.Join(dir, "d"))) // text that is read more than once
	wantError(t, err, "is a pipe", "calm data prepare")
	table := filepath.Join(dir, "e.parquet")
	makePipe(t, table)
	_, _, err = readAll(dir, once(table))
	wantError(t, err, "e.parquet", "not from a pipe")
}
