package corpus

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/calm-go/calm/tokenizer"
)

// dataDir returns a directory of test data that is not part of the repository, or skips the test.
func dataDir(t *testing.T, names ...string) string {
	dir := os.Getenv("CALM_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Skipf("no test data: %v (set CALM_DATA)", err)
		}
	}
	return dir
}

// The text of the published scores: 62 documents, 289,083 tokens of Llama 3
// (docs/spec.md, section 1).
func TestGoldenWikitext(t *testing.T) {
	const file, model = "wikitext_document_level-test.json", "llama3/tokenizer.model"
	dir := dataDir(t, file, model)
	tok, err := tokenizer.LoadLlama3(filepath.Join(dir, model))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(context.Background(), tok, at(filepath.Join(dir, file)))
	if err != nil {
		t.Fatal(err)
	}
	if c.All().Documents() != 62 || c.HeldOut().Documents() != 3 {
		t.Errorf("%d documents, %d held out", c.All().Documents(), c.HeldOut().Documents())
	}
	if got := c.All().Tokens(); got != 289083 {
		t.Errorf("%d tokens, want 289083", got)
	}
	blocks, err := c.All().Blocks(Layout{Language, 4, 8192})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, blocks.Len()*8192)
	if rows, err := blocks.Fill(0, ids); err != nil || int64(rows) != blocks.Len() {
		t.Fatalf("%d rows, %v", rows, err)
	}
	starts := 0
	for _, id := range ids {
		if id == tok.BOS() {
			starts++
		}
	}
	if starts != 62 || ids[0] != 128000 || blocks.tokens != c.All().Tokens()+62 {
		t.Errorf("%d documents begin in %d blocks", starts, blocks.Len())
	}
}
