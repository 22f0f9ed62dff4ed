package corpus_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/tokenizer"
)

// This turns documents in memory into batches for training.
func Example() {
	poem := []string{"A line of verse.\n", "Another line of verse.\n", "", "The last line.\n"}
	c, err := corpus.Tokenize(context.Background(), corpus.Texts(slices.Values(poem)), tokenizer.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.HoldingOut())
	for _, note := range c.Notes().Lines() {
		fmt.Println(note)
	}
	blocks, err := c.Train().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: 4, BlockSize: 8})
	if err != nil {
		log.Fatal(err)
	}
	batches, err := blocks.Shuffled(1, 2) // seed 1, 2 blocks a batch
	if err != nil {
		log.Fatal(err)
	}
	ids := make([]int32, 2*8) // [batch, block]
	for range 3 {
		if err := batches.Next(ids); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(blocks.Len(), "blocks; after 3 batches", batches.Position().Epoch, "epoch is over")
	// Output:
	// fewer than 20 different documents: the last 5 % of each are held out
	// 1 document without text (empty or null), the first is memory:3
	// 6 blocks; after 3 batches 1 epoch is over
}

// This loads JSON lines whose text is not in the default field. One of them has no text.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pages.jsonl")
	lines := `{"url": "a.org", "page": {"content": "The first page."}}` + "\n" + `{"url": "b.org", "page": {"content": null}}` + "\n"
	if err := os.WriteFile(path, []byte(lines), 0o666); err != nil {
		log.Fatal(err)
	}

	_, err = corpus.Load(context.Background(), tokenizer.Bytes(), corpus.Source{Paths: []string{path}})
	fmt.Println(strings.TrimPrefix(err.Error(), dir+"/"))

	c, err := corpus.Load(context.Background(), tokenizer.Bytes(), corpus.Source{Paths: []string{path}, Field: "page.content"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.All().Documents(), c.All().Tokens(), c.Notes().Empty)
	// Output:
	// pages.jsonl:1: the object has no field "text"; it has "url", "page.content": choose one with --field NAME, or leave the file out
	// 1 15 1
}
