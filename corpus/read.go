package corpus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A format is how documents lie in a file.
type format int

const (
	formatUnknown format = iota
	formatText           // the file is one document
	formatLines          // JSON lines with a field text
	formatParquet        // a column text
)

var errStop = errors.New("the receiver has had enough")

// Read yields the documents of the files and directories named, in this order.
//
//   - .txt, .text: one document, and so is a file of any other ending that is
//     named itself, unless it looks binary
//   - .jsonl, .ndjson, .json: a document a line, {"text": "..."}
//   - .parquet: a document a row, column text
//   - .gz or .zst behind any but the last: the same, compressed
//   - a directory: all files in it and below with these endings, sorted by
//     path; hidden ones are passed over
//
// Empty and null texts are passed over. The first error ends the iteration; it
// names the file and the line or row. A document must fit into memory, a file need
// not: a compressed text, which is one document, has at most maxText bytes, while a
// plain one is mapped.
func Read(ctx context.Context, paths ...string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		err := func() error {
			files, err := listFiles(paths)
			if err != nil {
				return err
			}
			before, from := int64(0), int64(0)
			for _, file := range files {
				read := int64(0)
				if err := readFile(ctx, file, &read, func(d Document) error {
					d.from, d.to = from, before+read
					from = d.to
					if len(d.Text) > 0 && !yield(d, nil) {
						return errStop
					}
					return ctx.Err()
				}); err != nil {
					return err
				}
				if info, err := os.Stat(file); err == nil {
					before += info.Size()
				}
			}
			return nil
		}()
		if err != nil && !errors.Is(err, errStop) {
			yield(Document{}, err)
		}
	}
}

// Size returns the bytes of the files that [Read] reads, compressed ones as they are.
func Size(paths ...string) (sum int64, err error) {
	files, err := listFiles(paths)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, fmt.Errorf("read text: %w", err)
		}
		sum += info.Size()
	}
	return sum, nil
}

// formatOf tells the format and the compression ("", ".gz", ".zst") by a name.
func formatOf(name string) (f format, compression string) {
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	if ext == ".gz" || ext == ".zst" {
		compression = ext
		ext = filepath.Ext(strings.TrimSuffix(name, ext))
	}
	switch ext {
	case ".txt", ".text":
		f = formatText
	case ".jsonl", ".ndjson", ".json":
		f = formatLines
	case ".parquet":
		f = formatParquet
	}
	return f, compression
}

// listFiles replaces the directories among paths by their files.
func listFiles(paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, errors.New("no file or directory of text is named")
	}
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read text: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		below, err := listDirectory(path)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

func listDirectory(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && path != dir
		if entry.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		if isShardName(entry.Name()) {
			if IsPrepared(filepath.Dir(path)) {
				return fmt.Errorf("%s is a prepared corpus, tokens and no text: name it alone", filepath.Dir(path))
			}
			return fmt.Errorf("%s: %w", filepath.Dir(path), errUnfinished)
		}
		if hidden {
			return nil
		}
		if f, _ := formatOf(path); f == formatUnknown {
			return nil
		}
		// A link to a file counts as the file (download caches are full of them).
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.Mode().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read text: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read text: no .txt, .jsonl, .json or .parquet file (or .gz, .zst of these) in %s", dir)
	}
	slices.Sort(files)
	return files, nil
}

// readFile gives each document of a file to each, the empty ones too, and stops
// at the first error. It keeps read at the bytes of the file read so far.
func readFile(ctx context.Context, path string, read *int64, each func(Document) error) error {
	f, compression := formatOf(path)
	if f == formatParquet {
		if compression != "" {
			return fmt.Errorf("%s: Parquet compresses by itself; decompress the file first", path)
		}
		return readParquet(path, read, each)
	}
	if compression == "" && f != formatLines {
		return readText(path, read, each)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer file.Close()
	r, err := decompress(&counted{file, read}, compression)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	if f == formatLines {
		return readLines(ctx, r, path, DefaultField, each)
	}
	text, err := readAtMost(r, maxText)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return oneText(path, text, f, each)
}

// maxText bounds a compressed text in bytes of text, so that a compressed bomb ends
// in an error and not in the machine's memory.
const maxText = 8 << 30

// readAtMost reads a compressed text to its end.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("after %d bytes of text: %w", len(text), err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("more than %d bytes of text: a compressed text is one document and has to fit into memory; decompress the file, which is then mapped, or write its documents as JSON lines, which are read one by one", limit)
	}
	return text, nil
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// decompress undoes the compression that a file's ending names.
func decompress(file io.Reader, compression string) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(file, 1<<18)
	switch compression {
	case ".gz":
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("not in gzip's format: %w", err)
		}
		return r, nil
	case ".zst":
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("not in zstd's format: %w", err)
		}
		return r.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}
