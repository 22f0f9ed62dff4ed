package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/calm-go/calm/tokenizer"
)

func TestBook(t *testing.T) {
	all := sha256.New()
	var docs []Document
	for d, err := range Book() {
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, d)
		all.Write(d.Text)
	}
	if len(docs) != 138 {
		t.Fatalf("%d documents, want 138", len(docs))
	}
	for i, want := range map[int]string{
		0: "ETYMOLOGY. (", 1: "EXTRACTS. (", 2: "CHAPTER 1. Loomings.\n\nCall me Ishmael.",
		136: "CHAPTER 135. The Chase.", 137: "Epilogue \"AND I ONLY",
	} {
		if !strings.HasPrefix(string(docs[i].Text), want) {
			t.Errorf("document %d begins %.40q, want %q", i, docs[i].Text, want)
		}
	}
	// From cat etymology.txt extracts.txt chapter_{1..135}.txt epilogue.txt | sha256sum; see book/README.md.
	const want = "4e0ebf849891f7afcb4006c515b6b984e9ccd4d320e73d82028fe138adfbc05c"
	if got := hex.EncodeToString(all.Sum(nil)); got != want {
		t.Errorf("SHA-256 of the book is %s, want %s", got, want)
	}
}

// The book's held-out part must not change: every quickstart is measured on it.
func TestBookHeldOut(t *testing.T) {
	c, err := Load(context.Background(), tokenizer.Bytes(), Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.All().Tokens(); got != 1216278 {
		t.Errorf("the book has %d bytes, want 1216278", got)
	}
	if got := c.HeldOut().Documents(); got != 7 {
		t.Errorf("%d documents held out, want 7 of 138", got)
	}
	share := float64(c.HeldOut().Tokens()) / float64(c.All().Tokens())
	if share < .045 || share > .055 {
		t.Errorf("%.2f %% of the text are held out, want about 5 %%", 100*share)
	}
	if c.Train().Tokens()+c.HeldOut().Tokens() != c.All().Tokens() {
		t.Error("the parts are not the whole")
	}
}
