package corpus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compressed JSON lines are read one by one: 24 MB of them are never in memory together.
func TestCompressedLinesStream(t *testing.T) {
	const documents, limit = 6000, 20 << 20 // of 4 kB
	for ext, compressor := range map[string]func(io.Writer) io.WriteCloser{
		".gz": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		".zst": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w, zstd.WithWindowSize(1<<20))
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	} {
		path := filepath.Join(t.TempDir(), "lines.jsonl"+ext)
		writeLines(t, path, compressor, documents)
		base, most := heap(), int64(0)
		n := 0
		watch := func() {
			if n++; n%1500 == 1499 {
				most = max(most, heap()-base)
			}
		}
		for _, err := range reader(t, path).Documents(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			watch()
		}
		if n != documents || most > limit {
			t.Errorf("%s: reading %d documents took %d MB", ext, n, most>>20)
		}

		n, most = 0, 0
		r := reader(t, path)
		docs := r.Documents(context.Background())
		watched := func(yield func(Document, error) bool) {
			for d, err := range docs {
				watch()
				if !yield(d, err) {
					return
				}
			}
		}
		var last Progress
		c, err := Prepare(context.Background(), watched, bytesTokenizer, t.TempDir(),
			PrepareOptions{ShardBytes: 32 << 20, Progress: func(p Progress) { last = p }})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if size := r.Size(); last.Read < size*9/10 || last.Read > size {
			t.Errorf("%s: %d of %d bytes read at the last report", ext, last.Read, size)
		}
		if n != documents || most > limit {
			t.Errorf("%s: preparing %d documents took %d MB", ext, n, most>>20)
		}
	}
}

func writeLines(t *testing.T, path string, compressor func(io.Writer) io.WriteCloser, documents int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := compressor(file)
	w := bufio.NewWriter(z)
	body := strings.Repeat("The whale was seen again. ", 4000/26)
	for i := range documents {
		fmt.Fprintf(w, `{"id": %d, "text": "%d. %s"}`+"\n", i, i, body)
	}
	for _, err := range []error{w.Flush(), z.Close(), file.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func heap() int64 {
	runtime.GC() // count only memory that is in use
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Progress.Read grows within a long document. At the end it is the size of all files, whatever their formats.
func TestProgressRead(t *testing.T) {
	long := strings.Repeat("A line of words.\n", 3<<20/17)
	dir := put(t, map[string]string{"a.txt": long, "b.txt.gz": gz(t, long), "c.jsonl": `{"text": "` + strings.Repeat("x", 1<<20) + `"}`,
		"d.parquet": string(parquetSeeds(t)["plain/zstd/v1"])})
	r := reader(t, dir)
	size := r.Size()
	var all []int64
	c, err := Prepare(context.Background(), r.Documents(context.Background()), bytesTokenizer, t.TempDir(),
		PrepareOptions{Progress: func(p Progress) { all = append(all, p.Read) }})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if len(all) < 6 || all[0] < 1<<19 || all[0] > 2<<20 {
		t.Fatalf("progress of %d bytes: %v", size, all)
	}
	for i, read := range all[1:] {
		if read < all[i] || read > size {
			t.Errorf("progress of %d bytes: %v", size, all)
		}
	}
	var last Document
	for d, err := range r.Documents(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.from < last.to {
			t.Errorf("%v begins at %d, before %d", d, d.from, last.to)
		}
		last = d
	}
	if last.to != size {
		t.Errorf("all files have %d bytes, %d are read", size, last.to)
	}
}
