package corpus

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/tokenizer"
)

// given yields documents with these texts.
func given(texts ...string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i, text := range texts {
			if !yield(Document{Text: []byte(text), Source: "test", Line: i + 1}, nil) {
				return
			}
		}
	}
}

// someTexts returns n different texts of several lines.
func someTexts(n int, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("call me ishmael some years ago never mind how long precisely naïve — 🐋 having 12345 little or no money don't")
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		fmt.Fprintf(&b, "document %d\n", i)
		for range 1 + r.IntN(60) {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteString([]string{" ", " ", " ", "\n", ", "}[r.IntN(5)])
		}
		texts[i] = b.String()
	}
	return texts
}

// trainBPE returns a tokenizer with merges, trained on texts.
func trainBPE(vocab int, texts ...string) (*tokenizer.Tokenizer, error) {
	return tokenizer.TrainBPE(context.Background(), func(yield func([]byte) bool) {
		for _, text := range texts {
			if !yield([]byte(text)) {
				return
			}
		}
	}, vocab, nil)
}

func mustTokenize(t testing.TB, texts ...string) *Corpus {
	t.Helper()
	c, err := Tokenize(context.Background(), given(texts...), tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// partTexts returns the decoded documents of a part.
func partTexts(t testing.TB, p *Part) []string {
	t.Helper()
	var texts []string
	for ids, err := range p.Each() {
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(tokenizer.Bytes().AppendDecode(nil, ids)))
	}
	return texts
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestTokenizeRefuses(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		docs iter.Seq2[Document, error]
		want string
	}{
		"nothing":       {given(), "no text"},
		"empty texts":   {given("", ""), "no text"},
		"one character": {given("x"), "too small"},
		"one rune":      {given("é"), "too small"},
		"an error": {func(yield func(Document, error) bool) {
			_ = yield(Document{Text: []byte("some text")}, nil) && yield(Document{}, fmt.Errorf("file 7 is gone"))
		}, "file 7 is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Tokenize(ctx, c.docs, tokenizer.Bytes())
			wantError(t, err, c.want)
		})
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Tokenize(cancelled, given(someTexts(30, 1)...), tokenizer.Bytes()); err == nil {
		t.Error("a cancelled context gives no error")
	}
}

// Long documents are encoded in parts. The tokens must be those of the whole document.
func TestLongDocuments(t *testing.T) {
	var lines strings.Builder
	for lines.Len() < 3*jobSize {
		lines.WriteString(strings.Join(someTexts(10, uint64(lines.Len())), "\n\n  x"))
	}
	for name, long := range map[string]string{
		"lines":    lines.String(),
		"one line": strings.Repeat("never a line break ", 2*jobSize/19),
	} {
		texts := append(someTexts(25, 3), long)
		got := partTexts(t, mustTokenize(t, texts...).All())
		if !slices.Equal(got, texts) {
			t.Errorf("%s: the tokens differ from those of the text", name)
		}
	}
	var cutter lineCutter
	if n, cut := cutter.next([]byte(lines.String())); !cut || n < jobSize || n > jobSize+1000 {
		t.Errorf("the first part has %d bytes", n)
	}
}

// A text cut where long documents are cut has the tokens of the whole text, with a
// tokenizer that has merges.
func TestCutsKeepTokens(t *testing.T) {
	book := bookTexts(t)
	tok, err := trainBPE(600, book[0], book[5])
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, text := range []string{book[3], strings.Join(someTexts(40, 4), "\r\n\t "), "a\n\nb!\nc \nd\n\n\ne1\nF"} {
		for at := 1; at < len(text); at++ {
			if !lineStart([]byte(text), at) {
				continue
			}
			from, to := max(0, at-300), min(len(text), at+300)
			got := tok.AppendEncode(tok.AppendEncode(nil, []byte(text[from:at])), []byte(text[at:to]))
			if want := tok.AppendEncode(nil, []byte(text[from:to])); !slices.Equal(got, want) {
				t.Fatalf("cut at %q|%q: the tokens differ", text[from:at], text[at:to])
			}
			checked++
		}
	}
	if checked < 50 {
		t.Errorf("only %d cuts were checked", checked)
	}
}

func bookTexts(t testing.TB) (texts []string) {
	for d, err := range Book() {
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(d.Text))
	}
	return texts
}

func TestLoad(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	texts := someTexts(30, 5)
	if err := os.WriteFile(filepath.Join(dir, "one.txt"), []byte(texts[0]+texts[1]), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := Load(ctx, tokenizer.Bytes(), at(filepath.Join(dir, "one.txt")))
	if err != nil {
		t.Fatal(err)
	}
	if got := partTexts(t, c.All()); len(got) != 1 || got[0] != texts[0]+texts[1] {
		t.Errorf("Load gives %q", got)
	}

	prepared := filepath.Join(dir, "prepared")
	p, err := Prepare(ctx, given(texts...), tokenizer.Bytes(), prepared, PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	c, err = Load(ctx, tokenizer.Bytes(), at(prepared))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := partTexts(t, c.All()); !slices.Equal(got, texts) {
		t.Errorf("Load of a prepared directory gives other texts")
	}
	other, err := trainBPE(300, texts...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(ctx, other, at(prepared))
	wantError(t, err, prepared, "another tokenizer")
	_, err = Load(ctx, tokenizer.Bytes(), at(prepared, filepath.Join(dir, "one.txt")))
	wantError(t, err, prepared, "name it alone")
	_, err = Load(ctx, tokenizer.Bytes(), at(filepath.Join(dir, "none.txt")))
	wantError(t, err, "none.txt")
}
