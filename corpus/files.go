package corpus

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/internal/filetype"
)

// A format is the format of a file, by its extension.
type format int

const (
	formatUnknown format = iota // another extension: one document, if it is text
	formatText                  // one document
	formatLines                 // JSON lines
	formatJSON                  // JSON lines; in a directory, files with other JSON are skipped
	formatParquet               // Parquet: one document a row
)

// A file is a file to be read.
type file struct {
	path        string // or Stdin
	format      format
	compression string // "", ".gz" or ".zst"
	size        int64  // bytes on disk
}

// lines reports whether the file is JSON lines.
func (f file) lines() bool { return f.format == formatLines || f.format == formatJSON }

// fileOf derives format and compression from a path.
func fileOf(path string, size int64) file {
	f := file{path: path, size: size}
	name := strings.ToLower(path)
	ext := filepath.Ext(name)
	if ext == ".gz" || ext == ".zst" {
		f.compression = ext
		ext = filepath.Ext(strings.TrimSuffix(name, ext))
	}
	switch ext {
	case ".txt", ".text":
		f.format = formatText
	case ".jsonl", ".ndjson":
		f.format = formatLines
	case ".json":
		f.format = formatJSON
	case ".parquet":
		f.format = formatParquet
	}
	return f
}

// listFiles returns the file at a path, or the text files below a directory, sorted by path. It adds the skipped ones to
// notes.
func listFiles(path string, notes *Notes) ([]file, error) {
	if path == Stdin {
		return []file{{path: Stdin}}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []file{fileOf(path, info.Size())}, nil
	}
	d, err := walk(path)
	if err != nil {
		return nil, err
	}
	if len(d.files) == 0 {
		return nil, errors.New(strings.Join(append([]string{"there is no text in " + path}, d.notes.Lines()...), "; "))
	}
	notes.add(d.notes)
	return d.files, nil
}

// sniffed is the number of bytes at the beginning of a file that decide whether it is text.
const sniffed = 8 << 10

// notText returns the reason why a file of a directory is skipped, or "" if it is read. JSON lines and Parquet are always read:
// reading a damaged one returns an error, which names the place.
func (f file) notText() (reason string, err error) {
	if f.format == formatLines || f.format == formatParquet {
		return "", nil
	}
	in, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	begin, err := beginning(in, f.compression)
	switch {
	case err != nil && f.format == formatUnknown:
		return "damaged, or not compressed as the name says", nil
	case err != nil: // reading the file returns this error again
		return "", nil
	case filetype.UTF16(begin):
		return "UTF-16; calm reads UTF-8", nil
	case zeroByte(begin) >= 0:
		return "binary", nil
	case f.format == formatUnknown && !beginsUTF8(begin):
		return "not UTF-8", nil
	case f.format == formatJSON && !beginsWithObject(begin):
		return "JSON, but not one object per line", nil
	}
	return "", nil
}

// beginning returns the first bytes of a text, at most sniffed.
func beginning(in io.Reader, compression string) ([]byte, error) {
	text, err := decompress(in, compression)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	return io.ReadAll(io.LimitReader(text, sniffed))
}

// zeroByte returns the index of the first zero byte among a text's first sniffed bytes, or -1.
func zeroByte(text []byte) int { return bytes.IndexByte(text[:min(len(text), sniffed)], 0) }

// beginsUTF8 reports whether the beginning of a text is UTF-8. The last character may be incomplete.
func beginsUTF8(begin []byte) bool {
	for i := len(begin) - 1; len(begin) == sniffed && i >= len(begin)-utf8.UTFMax; i-- {
		if utf8.RuneStart(begin[i]) {
			if !utf8.FullRune(begin[i:]) {
				begin = begin[:i]
			}
			break
		}
	}
	return utf8.Valid(begin)
}

// beginsWithObject reports whether the first line of a text is a JSON object, as far as the text's first sniffed bytes show.
func beginsWithObject(begin []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\ufeff")), " \t\r\n")
	line, _, whole := bytes.Cut(text, []byte("\n"))
	if whole || len(begin) < sniffed {
		return len(line) > 0 && line[0] == '{' && jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	}
	after, object := bytes.CutPrefix(line, []byte("{"))
	return object && bytes.HasPrefix(bytes.TrimLeft(after, " \t\r"), []byte(`"`))
}
