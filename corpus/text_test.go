package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/calm-go/calm/tokenizer"
)

// kindsOfTokenizers returns tokenizers with each pattern, and without one.
func kindsOfTokenizers(t testing.TB) map[string]*tokenizer.Tokenizer {
	t.Helper()
	book := bookTexts(t)
	bpe, err := trainBPE(500, book[0], book[5])
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]*tokenizer.Tokenizer{"bytes": bytesTokenizer, "Llama 3": bpe}
	for name, regex := range map[string]bool{"GPT-2": true, "no pattern": false} {
		var file map[string]any
		if err := json.Unmarshal(bpe.JSON(), &file); err != nil {
			t.Fatal(err)
		}
		file["pre_tokenizer"] = map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
		b, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		if kinds[name], err = tokenizer.Parse(b); err != nil {
			t.Fatal(err)
		}
	}
	return kinds
}

// A long text has the ids that it has where it is cut at starts of lines only, as corpora were made before texts came in
// parts. So their fingerprints stay.
func TestPartsKeepIDs(t *testing.T) {
	book := strings.Join(bookTexts(t)[:40], "\n\n")
	for name, text := range map[string]string{
		"lines":      strings.Repeat(book, 4)[:1200<<10],
		"long lines": strings.Repeat(strings.ReplaceAll(book[:200<<10], "\n", " ")+"\n\nAnother line", 4),
		"no letters": strings.Repeat("1234 5678.\n\n", 60<<10),
	} {
		for kind, tok := range kindsOfTokenizers(t) {
			var want []int32
			for rest := text; rest != ""; {
				n := jobSize
				for n < len(rest) && !lineStart([]byte(rest), n) {
					n++
				}
				n = min(n, len(rest))
				want, rest = tok.AppendEncode(want, []byte(rest[:n])), rest[n:]
			}
			c, err := Tokenize(context.Background(), given(append(someTexts(25, 3), text)...), tok)
			if err != nil {
				t.Fatal(err)
			}
			var got []int32
			for ids := range c.All().Each() {
				got = slices.Clone(ids)
			}
			if name == "no letters" && kind == "no pattern" {
				if back := string(tok.AppendDecode(nil, got)); back != text {
					t.Errorf("%s, %s: another text", name, kind)
				}
				continue // it has no start of a line, and is cut elsewhere
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: other ids", name, kind)
			}
		}
	}
}

// A document in parts is the same as a whole one, from memory, a file and a compressed file, cut in two or not.
func TestPartsAreOneDocument(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector; shorter tests run the same goroutines")
	}
	long := strings.Repeat(strings.Join(bookTexts(t), "\n"), 5) // the place of its tail is found without reading all of it
	unbroken := strings.Repeat("é", 3*partSize)
	for name, texts := range map[string][]string{
		"one": {long}, "few": {"short", long, unbroken, long}, "many": append(someTexts(25, 1), long, unbroken), "letters": {unbroken},
	} {
		want := mustTokenize(t, texts...)
		if got := partTexts(t, want.All()); !slices.Equal(got, texts) {
			t.Fatalf("%s: the tokens are not those of the text", name)
		}
		files := map[string]string{}
		var paths, packed []string
		dir := t.TempDir()
		for i, text := range texts {
			path := filepath.Join(dir, string(rune('a'+i))+".txt")
			paths, packed = append(paths, path), append(packed, path+".gz")
			files[path], files[path+".gz"] = text, gz(t, text)
		}
		for path, content := range files {
			if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for kind, src := range map[string]Source{"files": at(paths...), "compressed": at(packed...),
			"memory": {Memory: true, Documents: func(yield func(Document, error) bool) {
				for _, text := range texts { // in pieces of any size
					for n := 1000; len(text) > n; n *= 7 {
						if !yield(Document{Text: []byte(text[:n]), More: true}, nil) {
							return
						}
						text = text[n:]
					}
					if !yield(Document{Text: []byte(text), More: true}, nil) || !yield(Document{}, nil) {
						return
					}
				}
			}}} {
			c, err := Load(context.Background(), bytesTokenizer, src)
			if err != nil {
				t.Fatal(err)
			}
			if c.Fingerprint() != want.Fingerprint() || c.Notes().Empty > 0 {
				t.Errorf("%s, %s: another corpus", name, kind)
			}
			m, err := Measure(context.Background(), bytesTokenizer, src)
			if err != nil || m.HeldOut().Tokens() != want.HeldOut().Tokens() || m.Train().Documents() != want.Train().Documents() {
				t.Errorf("%s, %s: measured %+v (%v)", name, kind, m, err)
			} else if _, err := m.Train().Blocks(Layout{Language, 1, 8}); !errors.Is(err, errMeasured) {
				t.Errorf("%s, %s: blocks without tokens: %v", name, kind, err)
			} else if _, err := m.Train().End(3); !errors.Is(err, errMeasured) {
				t.Errorf("the end of a text of a measured corpus: %v", err)
			}
			c.Close()
		}
	}
}

// The fingerprint of a text of 6 MB is the one that it had when texts were in memory as a whole.
func TestLongFingerprint(t *testing.T) {
	long := strings.Repeat(strings.Join(bookTexts(t), "\n"), 5)
	const want = "8a52ad054289ed67e14d05d36d7862996a68d4790899385bc1413160b3438e28"
	if got := mustTokenize(t, long).Fingerprint().String(); got != want {
		t.Errorf("the fingerprint is %s, want %s", got, want)
	}
}

// Tokens and texts beyond the limits of memory are in a temporary file.
func TestSpool(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector; shorter tests run the same goroutines")
	}
	var want bytes.Buffer
	s := &spool{limit: 2 * spoolChunk, dir: t.TempDir()}
	defer s.Close()
	write := func(n int) {
		b := bytes.Repeat([]byte{byte(want.Len()), byte(n)}, n)[:n]
		if m, err := s.Write(b); m != n || err != nil {
			t.Fatal(m, err)
		}
		want.Write(b)
	}
	check := func() {
		t.Helper()
		r := io.NewSectionReader(s, 0, s.size())
		if err := iotest.TestReader(r, want.Bytes()); err != nil {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(s.dir); len(left) > 0 {
			t.Errorf("the temporary file has a name: %v", left)
		}
	}
	for _, n := range []int{1, 1000, spoolChunk, 5, spoolChunk, 100_001, 3 * spoolChunk / 2} {
		write(n)
	}
	check()
	for _, n := range []int64{s.size() - 7, 2*spoolChunk + 1, 2 * spoolChunk, spoolChunk + 9, spoolChunk, 17} {
		s.truncate(n)
		want.Truncate(int(n))
		check()
		write(333)
		check()
		write(spoolChunk)
	}
	check()
	broken := &spool{dir: filepath.Join(t.TempDir(), "missing")}
	_, err := broken.Write([]byte("x"))
	wantError(t, err, "temporary file", "TMPDIR")
}

// UTF-16 is refused with a sentence, in every format and from standard input. A byte order mark is not part of a text.
func TestMarks(t *testing.T) {
	wide := func(order, text string) string {
		b := []byte(order)
		for _, c := range []byte(text) {
			b = append(b, c, 0)
		}
		return string(b)
	}
	lines := `{"text":"a text of some words"}`
	dir := put(t, map[string]string{
		"a.txt": wide("\xff\xfe", "text"), "b.txt": wide("", "a text without a mark, long enough"), "c.md": wide("\xff\xfe", "text"), "d.txt.gz": gz(t, wide("\xff\xfe", "text")),
		"e.jsonl": wide("\xff\xfe", lines), "f.jsonl.zst": zst(t, wide("", lines)), "g.txt": "\xfe\xff\x00t\x00e", "h.json": wide("\xff\xfe", lines),
		"mark.txt": "\ufeffa text", "mark.txt.gz": gz(t, "\ufeffa text"), "mark": "\ufeffa text", "mark.jsonl": "\ufeff" + `{"text":"a text"}`,
		"zeros.txt": "a\x00b\x00\x00c",
	})
	for _, name := range []string{"a.txt", "b.txt", "c.md", "d.txt.gz", "e.jsonl", "f.jsonl.zst", "g.txt", "h.json"} {
		_, _, err := readAll(dir, at(filepath.Join(dir, name)))
		wantError(t, err, name, "UTF-16", "iconv")
	}
	for _, field := range []string{"", "text"} {
		_, _, err := readAll(dir, Source{Paths: []string{Stdin}, Field: field, Input: strings.NewReader(wide("\xff\xfe", lines))})
		wantError(t, err, "standard input", "UTF-16")
	}
	for _, name := range []string{"mark.txt", "mark.txt.gz", "mark", "mark.jsonl"} {
		got, _, err := readAll(dir, at(filepath.Join(dir, name)))
		if err != nil || len(got) != 1 || !strings.HasSuffix(got[0], " a text") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		c, err := Load(context.Background(), bytesTokenizer, at(filepath.Join(dir, name))) // reads it twice
		if err != nil || c.All().Tokens() != 6 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if got, _, err := readAll(dir, at(filepath.Join(dir, "zeros.txt"))); err != nil || len(got) != 1 {
		t.Errorf("text with zero bytes: %q, %v", got, err)
	}
}

// A path that is no UTF-8 is refused before anything is read or written.
func TestPathNotUTF8(t *testing.T) {
	for _, src := range []Source{at("a.txt", "caf\xe9.txt"), at("\xff")} {
		_, err := NewReader(src)
		wantError(t, err, "is not UTF-8", "rename")
	}
}
