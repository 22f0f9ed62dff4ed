package corpus

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
)

func gz(t testing.TB, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t testing.TB, s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func parquetOf[T any](t testing.TB, rows ...T) string {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.Compression(&parquet.Zstd), parquet.PageBufferSize(64))
	for i, row := range rows { // several row groups
		if _, err := w.Write([]T{row}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// put writes files into a new directory.
func put(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// at returns the source with these paths.
func at(paths ...string) Source { return Source{Paths: paths} }

func reader(t testing.TB, paths ...string) *Reader {
	t.Helper()
	r, err := NewReader(at(paths...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readAll returns "name:line text" of each document, names relative to dir.
func readAll(dir string, src Source) (got []string, notes Notes, err error) {
	r, err := NewReader(src)
	if err != nil {
		return nil, notes, err
	}
	for d, err := range r.Documents(context.Background()) {
		if err != nil {
			return got, r.Notes(), err
		}
		got = append(got, strings.TrimPrefix(d.String(), dir+"/")+" "+string(d.Text))
	}
	return got, r.Notes(), nil
}

type row struct {
	ID   int64  `parquet:"id"`
	Text string `parquet:"text,dict"`
	URL  string `parquet:"url"`
}

type optionalRow struct {
	Text *string `parquet:"text,optional"`
}

func TestRead(t *testing.T) {
	lines := "{\"text\": \"one\\n\\u00e9\", \"id\": 3}\n\n  {\"meta\": {\"text\": \"no\"}, \"text\":\"two\"}\r\n" +
		"{\"text\": \"\"}\n{\"text\": null}\n{\"TEXT\": \"no\", \"text\": \"a\", \"te\\u0078t\": \"three\"}"
	want := func(name string) []string {
		return []string{name + ":1 one\né", name + ":3 two", name + ":6 three"}
	}
	text := "plain \xff text,\r\nas it is\n"
	some := "with null"
	dir := put(t, map[string]string{
		"a.jsonl": lines, "b.ndjson.gz": gz(t, lines), "c.json.zst": zst(t, lines), "bom.jsonl": "\ufeff{\"text\":\"x\"}",
		"d.txt": text, "e.text.gz": gz(t, text), "f.TXT.zst": zst(t, text), "g.md": text, "h": text, "i.gz": gz(t, text),
		"twice.txt.gz": gz(t, "one ") + gz(t, "two"), "twice.jsonl.zst": zst(t, `{"text":`) + zst(t, `"x"}`),
		"j.parquet": parquetOf(t, row{1, "first", "u"}, row{2, "", "u"}, row{3, "third", "v"}),
		"k.parquet": parquetOf(t, optionalRow{nil}, optionalRow{&some}),
	})
	checked := 0
	for name, want := range map[string][]string{
		"a.jsonl": want("a.jsonl"), "b.ndjson.gz": want("b.ndjson.gz"), "c.json.zst": want("c.json.zst"),
		"bom.jsonl": {"bom.jsonl:1 x"},
		"d.txt":     {"d.txt " + text}, "e.text.gz": {"e.text.gz " + text}, "f.TXT.zst": {"f.TXT.zst " + text},
		"g.md": {"g.md " + text}, "h": {"h " + text}, "i.gz": {"i.gz " + text},
		"twice.txt.gz": {"twice.txt.gz one two"}, "twice.jsonl.zst": {"twice.jsonl.zst:1 x"},
		"j.parquet": {"j.parquet:1 first", "j.parquet:3 third"}, "k.parquet": {"k.parquet:2 with null"},
	} {
		got, _, err := readAll(dir, at(filepath.Join(dir, name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		checked++
	}
	if checked != 14 {
		t.Errorf("%d files were read", checked)
	}
}

func TestReadManyRows(t *testing.T) {
	var rows []row
	for i, text := range someTexts(1000, 9) {
		rows = append(rows, row{int64(i), text, "u"})
	}
	dir := put(t, map[string]string{"x.parquet": parquetOf(t, rows...)})
	n := 0
	for d, err := range reader(t, dir).Documents(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Line != n+1 || string(d.Text) != rows[n].Text {
			t.Fatalf("row %d is %s %q, want %q", n, d, d.Text, rows[n].Text)
		}
		n++
	}
	if n != len(rows) {
		t.Errorf("%d rows, want %d", n, len(rows))
	}
}

func TestReadErrors(t *testing.T) {
	good := "{\"text\":\"x\"}\n"
	manyLines := strings.Repeat("{\"text\":\"some text that is not short\"}\n", 1000)
	parquetBytes := parquetOf(t, row{1, "first", "u"}, row{2, "second", "v"})
	damaged := []byte(parquetBytes)
	for i := 4; i < len(damaged)/2; i++ {
		damaged[i] ^= 0x5a
	}
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"no.jsonl":        {good + "text\n", []string{"no.jsonl:2", "not JSON", "column"}},
		"array.json":      {"[{\"text\":\"x\"}]", []string{"array.json:1", "array", "object"}},
		"pretty.json":     {"{\n\"text\": \"x\"\n}", []string{"pretty.json:1", "one object per line"}},
		"field.jsonl":     {good + good + "{\"content\":\"x\"}", []string{"field.jsonl:3", `no field "text"`}},
		"case.jsonl":      {"{\"Text\":\"x\"}", []string{"case.jsonl:1", `no field "text"`}},
		"type.jsonl":      {"{\"text\":[\"x\"]}", []string{"type.jsonl:1", "array", "string"}},
		"number.jsonl":    {"{\"text\":12}", []string{"number.jsonl:1", "number", "string"}},
		"two.jsonl":       {"{\"text\":\"x\"} {\"text\":\"y\"}", []string{"two.jsonl:1"}},
		"cut.jsonl.gz":    {gz(t, manyLines)[:100], []string{"cut.jsonl.gz:", "unexpected EOF"}},
		"cut.txt.gz":      {gz(t, manyLines)[:100], []string{"cut.txt.gz", "unexpected EOF"}},
		"cut.txt.zst":     {zst(t, manyLines)[:40], []string{"cut.txt.zst", "unexpected EOF"}},
		"not.txt.gz":      {"plain", []string{"not.txt.gz", "gzip"}},
		"not.jsonl.zst":   {"plain text here", []string{"not.jsonl.zst"}},
		"binary":          {"\x7fELF\x00\x01", []string{"binary", "byte 4"}},
		"not.parquet":     {"PAR1 not at all", []string{"not.parquet"}},
		"empty.parquet":   {"", []string{"empty.parquet"}},
		"cut.parquet":     {parquetBytes[:len(parquetBytes)-20], []string{"cut.parquet"}},
		"damaged.parquet": {string(damaged), []string{"damaged.parquet"}},
		"column.parquet":  {parquetOf(t, struct{ Body string }{"x"}), []string{"column.parquet", `no column "text"`, "Body"}},
		"type.parquet": {parquetOf(t, struct {
			Text int64 `parquet:"text"`
		}{1}), []string{"type.parquet", "expected strings"}},
		"list.parquet": {parquetOf(t, struct {
			Text []string `parquet:"text"`
		}{[]string{"x"}}), []string{"list.parquet", "expected strings"}},
		"twice.parquet.gz": {"", []string{"twice.parquet.gz", "decompress"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := put(t, map[string]string{name: c.content})
			_, _, err := readAll(dir, at(filepath.Join(dir, name)))
			wantError(t, err, c.want...)
		})
	}
	_, _, err := readAll("", at(t.TempDir()))
	wantError(t, err, "there is no text in")
}

// After the receiver has stopped, nothing more is read. Stopping is not an error.
func TestReadStops(t *testing.T) {
	dir := put(t, map[string]string{"a.txt": "a", "b.jsonl": "not JSON", "c.parquet": parquetOf(t, row{1, "x", "u"}, row{2, "y", "u"})})
	for _, name := range []string{"a.txt", "c.parquet"} {
		n := 0
		for _, err := range reader(t, filepath.Join(dir, name), filepath.Join(dir, "b.jsonl")).Documents(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			break
		}
		if n != 1 {
			t.Errorf("%s: %d documents", name, n)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	for _, err := range reader(t, filepath.Join(dir, "c.parquet")).Documents(ctx) {
		last = err
		cancel()
	}
	wantError(t, last, "canceled")
}
