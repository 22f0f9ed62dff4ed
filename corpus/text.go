package corpus

import (
	"bytes"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"
)

// mapFrom is the size in bytes from which a text file is mapped, not read. A
// mapping stays until the process ends: its pages are the file's, so it costs
// address space only, and nobody has to say when the text is no longer needed.
const mapFrom = 64 << 20

// readText gives a file as one document.
func readText(path string, read *int64, each func(Document) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	var text []byte
	if info.Mode().IsRegular() && info.Size() >= mapFrom {
		text, err = mmap.Map(file, mmap.RDONLY, 0)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	*read = int64(len(text))
	f, _ := formatOf(path)
	return oneText(path, text, f, each)
}

// oneText gives the text of a file, unless the file's ending does not promise
// text and its beginning is not text either.
func oneText(path string, text []byte, f format, each func(Document) error) error {
	if f == formatUnknown {
		if at := bytes.IndexByte(text[:min(len(text), 1<<13)], 0); at >= 0 {
			return fmt.Errorf("%s does not look like text (byte %d is zero); calm reads plain text, .jsonl, .json and .parquet, and .gz and .zst of text and JSON lines", path, at)
		}
	}
	return each(Document{Text: text, Source: path})
}
