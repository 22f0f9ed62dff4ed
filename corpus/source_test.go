package corpus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

type nested struct {
	Title string `parquet:"title"`
	Meta  *struct {
		Text *string `parquet:"text,optional"`
		Lang string  `parquet:"lang"`
	} `parquet:"meta,optional"`
	Tags []string `parquet:"tags,list"`
}

// A field may lead into objects of JSON and groups of Parquet. Null at any depth is counted as a document without text.
func TestField(t *testing.T) {
	text, empty := "deep", ""
	rows := []nested{{Title: "t", Meta: nil}, {Title: "u"}, {Title: "v"}, {Title: "", Tags: []string{"x"}}}
	rows[1].Meta = &struct {
		Text *string `parquet:"text,optional"`
		Lang string  `parquet:"lang"`
	}{&text, "en"}
	rows[2].Meta = &struct {
		Text *string `parquet:"text,optional"`
		Lang string  `parquet:"lang"`
	}{nil, "en"}
	rows[3].Meta = &struct {
		Text *string `parquet:"text,optional"`
		Lang string  `parquet:"lang"`
	}{&empty, "en"}
	dir := put(t, map[string]string{
		"a.parquet": parquetOf(t, rows...),
		"a.jsonl": `{"title":"t","meta":null}
{"title":"u","meta":{"text":"deep","lang":"en"}}
{"title":"v","meta":{"text":null}}
{"title":"","meta":{"text":""}}`,
	})
	for _, name := range []string{"a.parquet", "a.jsonl"} {
		for field, want := range map[string][]string{"meta.text": {name + ":2 deep"}, "title": {name + ":1 t", name + ":2 u", name + ":3 v"}} {
			got, notes, err := readAll(dir, Source{Paths: []string{filepath.Join(dir, name)}, Field: field})
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s of %s: %v %s", field, name, err, diff)
			}
			first := map[string]string{"meta.text": ":1", "title": ":4"}[field]
			if notes.Empty != int64(4-len(want)) || notes.FirstEmpty != filepath.Join(dir, name)+first {
				t.Errorf("%s of %s: %+v", field, name, notes)
			}
		}
		for field, want := range map[string][]string{
			"text":       {`"text"`, `"title", "meta`, "--field NAME"},
			"meta":       {`"meta"`},
			"meta.title": {`"meta.title"`},
			"title.text": {"title"},
		} {
			_, _, err := readAll(dir, Source{Paths: []string{filepath.Join(dir, name)}, Field: field})
			wantError(t, err, append(want, name)...)
		}
	}
	_, _, err := readAll(dir, Source{Paths: []string{filepath.Join(dir, "a.parquet")}, Field: "tags.list.element"})
	wantError(t, err, "holds lists; expected strings")
}

// A field that can have no effect is an error, and so is an invalid name.
func TestFieldRefused(t *testing.T) {
	dir := put(t, map[string]string{"a.txt": "text"})
	prepared := t.TempDir()
	mustPrepare(t, prepared, small, someTexts(30, 1)...)
	for _, c := range []struct {
		src  Source
		want string
	}{
		{Source{Field: "content"}, "the embedded book has no field"},
		{Source{Paths: []string{dir}, Field: "content"}, "neither JSON lines nor Parquet"},
		{Source{Paths: []string{prepared}, Field: "content"}, "is prepared"},
		{Source{Paths: []string{dir}, Field: "a..b"}, "an empty name"},
		{Source{Paths: []string{dir}, Field: "."}, "an empty name"},
	} {
		_, err := Load(context.Background(), bytesTokenizer, c.src)
		wantError(t, err, c.want)
		c.src.Field = DefaultField
		if c, err := Load(context.Background(), bytesTokenizer, c.src); err != nil {
			t.Errorf("%v", err)
		} else {
			c.Close()
		}
	}
}

// If all texts are empty, the error says so, for every kind of source.
func TestNoText(t *testing.T) {
	dir := put(t, map[string]string{"a.jsonl": "{\"text\":null}\n{\"text\":\"\"}", "empty.jsonl": ""})
	_, err := Load(context.Background(), bytesTokenizer, at(filepath.Join(dir, "a.jsonl")))
	wantError(t, err, "no text", "2 documents without text", "a.jsonl:1")
	_, err = Load(context.Background(), bytesTokenizer, at(filepath.Join(dir, "empty.jsonl")))
	wantError(t, err, "no text")
	_, err = Prepare(context.Background(), reader(t, filepath.Join(dir, "a.jsonl")).Documents(context.Background()), bytesTokenizer, filepath.Join(t.TempDir(), "x"), small)
	wantError(t, err, "2 documents without text")
	_, err = Tokenize(context.Background(), Texts(slices.Values([]string{"", ""})), bytesTokenizer)
	wantError(t, err, "2 documents without text", "memory:1")
}

// The same texts give the same corpus, from files of any format, from standard input and from memory. Empty texts are counted
// in each.
func TestSameTextAnywhere(t *testing.T) {
	texts := append(someTexts(30, 1), "", "the last")
	var lines strings.Builder
	var rows []row
	for _, text := range texts {
		line, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
		rows = append(rows, row{Text: text})
	}
	dir := put(t, map[string]string{"a.jsonl": lines.String(), "a.parquet": parquetOf(t, rows...)})
	memory, err := Tokenize(context.Background(), Texts(slices.Values(texts)), bytesTokenizer)
	if err != nil {
		t.Fatal(err)
	}
	if n := memory.Notes(); n.Empty != 1 || n.FirstEmpty != "memory:31" {
		t.Errorf("%+v", n)
	}
	for name, src := range map[string]Source{
		"a.jsonl:31": at(filepath.Join(dir, "a.jsonl")), "a.parquet:31": at(filepath.Join(dir, "a.parquet")),
		"standard input:31": {Paths: []string{Stdin}, Field: DefaultField, Input: strings.NewReader(lines.String())},
	} {
		c, err := Load(context.Background(), bytesTokenizer, src)
		if err != nil {
			t.Fatal(err)
		}
		if n := c.Notes(); c.Fingerprint() != memory.Fingerprint() || n.Empty != 1 || !strings.HasSuffix(n.FirstEmpty, name) {
			t.Errorf("%s: another corpus, or %+v", name, n)
		}
	}
}

// Text that was in memory cannot be read again. The error says so.
func TestMemorySource(t *testing.T) {
	src := Source{Memory: true}
	_, err := Load(context.Background(), bytesTokenizer, src)
	_, readErr := NewReader(src)
	if !errors.Is(err, ErrMemory) || !errors.Is(readErr, ErrMemory) || src.Prepared() {
		t.Errorf("%v, %v", err, readErr)
	}
}

func TestSourceString(t *testing.T) {
	for want, src := range map[string]Source{
		"the embedded book":         {},
		"text from memory":          {Memory: true},
		"a.txt, standard input":     {Paths: []string{"a.txt", Stdin}, Field: DefaultField},
		`a.jsonl (field "content")`: {Paths: []string{"a.jsonl"}, Field: "content"},
	} {
		if got := src.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Standard input is one document of plain text, or JSON lines if a field is named.
func TestStdin(t *testing.T) {
	lines := "{\"content\":\"one\"}\n{\"content\":null}\n{\"content\":\"two\"}\n"
	stdin := func(field, text string) Source {
		return Source{Paths: []string{Stdin}, Field: field, Input: iotest.OneByteReader(strings.NewReader(text))}
	}
	for _, c := range []struct {
		src  Source
		want []string
	}{
		{stdin("", "plain \xff text\n"), []string{"standard input plain \xff text\n"}},
		{stdin("", "{not JSON\n"), []string{"standard input {not JSON\n"}},
		{stdin("content", lines), []string{"standard input:1 one", "standard input:3 two"}},
	} {
		got, _, err := readAll("", c.src)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	for _, c := range []struct {
		src  Source
		want string
	}{
		{stdin("", lines), "--field text"},
		{stdin("", `{"text":"`+strings.Repeat("x", 2*sniffed)+`"}`), "--field text"},
		{stdin("text", lines), `standard input:1: the object has no field "text"; it has "content"`},
		{stdin("", "a\x00"), "standard input does not look like text"},
		{stdin("", ""), "no text"},
		{Source{Paths: []string{Stdin}}, "prepare it"},
		{Source{Paths: []string{Stdin, Stdin}, Input: strings.NewReader("x")}, "named twice"},
	} {
		_, _, err := readAll("", c.src)
		wantError(t, err, c.want)
	}
	r, err := NewReader(stdin("", "once"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, err = range r.Documents(context.Background()) {
		}
	}
	wantError(t, err, "already")
}

// A reader ends with its context, even while it waits for input from a terminal.
func TestStdinCancelled(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := NewReader(Source{Paths: []string{Stdin}, Input: in})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	for _, err = range r.Documents(ctx) {
	}
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
