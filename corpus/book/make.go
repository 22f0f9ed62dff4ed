//go:build ignore

// Make writes moby-dick.jsonl.zst from the unpacked npm package; see README.md.
//
//	go run corpus/book/make.go package/data corpus/book/moby-dick.jsonl.zst
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go run corpus/book/make.go package/data moby-dick.jsonl.zst")
	}
	names := []string{"etymology", "extracts"}
	for i := 1; i <= 135; i++ {
		names = append(names, fmt.Sprintf("chapter_%d", i))
	}
	names = append(names, "epilogue")
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	e.SetEscapeHTML(false)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(os.Args[1], name+".txt"))
		if err != nil {
			log.Fatal(err)
		}
		if err := e.Encode(struct {
			Name string `json:"name"`
			Text string `json:"text"`
		}{name, string(text)}); err != nil {
			log.Fatal(err)
		}
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(4<<20), zstd.WithEncoderCRC(true))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], w.EncodeAll(lines.Bytes(), nil), 0o666); err != nil {
		log.Fatal(err)
	}
}
