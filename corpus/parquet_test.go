package corpus

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/calm-go/calm/internal/memtest"
)

// Types of rows, each of which encodes the column text differently. nil is null.
type (
	plainRow struct {
		ID   int64
		Text string `parquet:"text,plain"`
	}
	dictRow struct {
		Text string `parquet:"text,dict"`
		ID   int64
	}
	deltaRow struct {
		Text string `parquet:"text,delta"`
	}
	bytesRow struct {
		Text []byte `parquet:"text"`
	}
	nullRow struct {
		Text *string `parquet:"text,optional"`
		ID   int64   `parquet:"id,delta"`
	}
	nullDictRow struct {
		Other *string `parquet:"other,optional,dict"`
		Text  *string `parquet:"text,optional,dict"`
	}
	otherRow struct {
		ID   int64
		Body string `parquet:"body"`
	}
)

// parquetTexts are the texts of the rows of every seed with a column text. Where the column cannot be null, nil becomes "".
var parquetTexts = []string{"first", "", "a longer text, ", "first", "\x00\xffbytes\n", "first", "last"}

// parquetSeeds returns small files with many encodings, by name. They have two row groups and several pages.
func parquetSeeds(t testing.TB) map[string][]byte {
	seeds := map[string][]byte{}
	for codecName, codec := range map[string]compress.Codec{
		"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd, "brotli": &parquet.Brotli, "lz4": &parquet.Lz4Raw,
	} {
		for _, version := range []int{1, 2} {
			o := []parquet.WriterOption{parquet.Compression(codec), parquet.DataPageVersion(version), parquet.PageBufferSize(16)}
			name := func(kind string) string { return fmt.Sprintf("%s/%s/v%d", kind, codecName, version) }
			seeds[name("plain")] = parquetFile(t, o, func(i int, s *string) plainRow { return plainRow{int64(i), text(s)} })
			seeds[name("dict")] = parquetFile(t, o, func(i int, s *string) dictRow { return dictRow{text(s), int64(i)} })
			seeds[name("delta")] = parquetFile(t, o, func(_ int, s *string) deltaRow { return deltaRow{text(s)} })
			seeds[name("bytes")] = parquetFile(t, o, func(_ int, s *string) bytesRow { return bytesRow{[]byte(text(s))} })
			seeds[name("null")] = parquetFile(t, o, func(i int, s *string) nullRow { return nullRow{s, int64(i)} })
			seeds[name("null dict")] = parquetFile(t, o, func(_ int, s *string) nullDictRow { return nullDictRow{s, s} })
			seeds[name("missing")] = parquetFile(t, o, func(i int, s *string) otherRow { return otherRow{int64(i), text(s)} })
		}
	}
	return seeds
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func parquetFile[T any](t testing.TB, options []parquet.WriterOption, make func(i int, s *string) T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	for i := range parquetTexts {
		var s *string
		if parquetTexts[i] != "" {
			s = &parquetTexts[i]
		}
		_, err := w.Write([]T{make(i, s)})
		if err == nil && i == 3 {
			err = w.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// scan reads a file in memory and checks that its documents are numbered.
func scan(t testing.TB, file []byte) (texts []string, err error) {
	t.Helper()
	at := rows{}
	err = scanParquet(bytes.NewReader(file), int64(len(file)), "file", DefaultField, &at, func(d Document) error {
		texts = append(texts, string(d.Text))
		if d.Line != len(texts) {
			t.Errorf("document %d is of row %d", len(texts), d.Line)
		}
		return nil
	})
	if at.row != int64(len(texts)) {
		t.Errorf("%d documents of %d rows", len(texts), at.row)
	}
	return texts, err
}

// All encodings and compressions give the same texts.
func TestParquetKinds(t *testing.T) {
	seeds := parquetSeeds(t)
	for name, file := range seeds {
		texts, err := scan(t, file)
		if strings.HasPrefix(name, "missing") {
			wantError(t, err, `no column "text"`, "body")
			continue
		}
		if strings.Contains(name, "lz4") {
			wantError(t, err, "LZ4", "zstd")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(parquetTexts, texts); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if len(seeds) != 84 {
		t.Errorf("%d kinds", len(seeds))
	}
}

// A damaged Parquet file gives an error or other rows, and needs little memory.
func TestDamagedParquet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	seeds := parquetSeeds(t)
	tries, failed := 0, 0
	for _, name := range slices.Sorted(maps.Keys(seeds)) {
		for range 50 {
			bad := bytes.Clone(seeds[name])
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			tries++
			if _, err := scan(t, bad); err != nil {
				failed++
			}
			runtime.ReadMemStats(&after)
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 64 {
				t.Errorf("%s, try %d: %d MB allocated for a file of %d bytes", name, tries, mb, len(bad))
			}
		}
	}
	if failed < tries/10 || tries < 4000 {
		t.Errorf("only %d of %d damaged files gave an error", failed, tries)
	}
}

// FuzzParquet changes two bytes of a valid file, besides the changes that the fuzzer makes. The fuzzer's changes of a
// compressed page are seldom decompressed; small changes of a valid file often are.
func FuzzParquet(f *testing.F) {
	seeds := parquetSeeds(f)
	for _, name := range slices.Sorted(maps.Keys(seeds)) {
		f.Add(seeds[name], uint(0), byte(0), uint(0), byte(0))
		f.Add(seeds[name], uint(len(seeds[name])*2/3), byte(1), uint(len(seeds[name])/3), byte(0x80))
	}
	f.Fuzz(func(t *testing.T, file []byte, at uint, flip byte, at2 uint, flip2 byte) {
		file = bytes.Clone(file)
		if n := uint(len(file)); n > 0 {
			file[at%n] ^= flip
			file[at2%n] ^= flip2
		}
		within := memtest.Within(t, len(file), 64<<20)
		texts, err := scan(t, file)
		within()
		again, errAgain := scan(t, file)
		if !slices.Equal(texts, again) || (err == nil) != (errAgain == nil) {
			t.Errorf("read twice: %q, %v, then %q, %v", texts, err, again, errAgain)
		}
	})
}
