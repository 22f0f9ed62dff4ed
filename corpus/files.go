package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A format is how documents lie in a file.
type format int

const (
	formatUnknown format = iota // text, perhaps: the file is one document
	formatText                  // the file is one document
	formatLines                 // JSON lines with a field
	formatJSON                  // the same, but in a directory perhaps other JSON
	formatParquet               // rows with a column
)

// A file is one that is read.
type file struct {
	path        string // or Stdin
	format      format
	compression string // "", ".gz" or ".zst"
	size        int64  // bytes, as it lies there
}

// lines reports whether the file is JSON lines.
func (f file) lines() bool { return f.format == formatLines || f.format == formatJSON }

// fileOf tells the format and the compression by a path.
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

// listFiles returns the file at a path, or those of a directory that are text, and notes the others.
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
	d := directory{root: path}
	if err := filepath.WalkDir(path, d.visit); err != nil {
		return nil, err
	}
	if len(d.files) == 0 {
		return nil, errors.New(strings.Join(append([]string{"there is no text in " + path}, d.notes.Lines()...), "; "))
	}
	notes.add(d.notes)
	slices.SortFunc(d.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return d.files, nil
}

// A directory is what a walk through one finds.
type directory struct {
	root  string
	files []file
	notes Notes
}

// visit takes a file that is text and notes why another is not taken.
func (d *directory) visit(path string, entry fs.DirEntry, err error) error {
	if err != nil || path == d.root {
		return err
	}
	switch hidden := strings.HasPrefix(entry.Name(), "."); {
	case hidden && entry.IsDir():
		d.notes.skip(path, "hidden")
		return fs.SkipDir
	case entry.IsDir():
		return nil
	case isShardName(entry.Name()) && IsPrepared(filepath.Dir(path)):
		return fmt.Errorf("%s is a prepared corpus, tokens and no text: name it alone", filepath.Dir(path))
	case isShardName(entry.Name()):
		return fmt.Errorf("%s: %w", filepath.Dir(path), errUnfinished)
	case hidden:
		d.notes.skip(path, "hidden")
		return nil
	}
	info, err := os.Stat(path) // a link to a file counts as the file (download caches are full of them)
	if err != nil {
		return err
	}
	f := fileOf(path, info.Size())
	reason := ""
	switch {
	case info.IsDir():
		reason = "links to directories"
	case !info.Mode().IsRegular():
		reason = "neither files nor directories"
	default:
		if reason, err = f.notText(); err != nil {
			return err
		}
	}
	if reason != "" {
		d.notes.skip(path, reason)
		return nil
	}
	d.files = append(d.files, f)
	return nil
}

// sniffed is how many bytes at the beginning of a file tell whether it is text.
const sniffed = 8 << 10

// notText says why a file of a directory is not read, "" if it is. Files of JSON lines and Parquet always are: what is
// wrong with them is an error, which names the place.
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
	case err != nil: // it is told when the file is read
		return "", nil
	case bytes.HasPrefix(begin, []byte("\xff\xfe")) || bytes.HasPrefix(begin, []byte("\xfe\xff")):
		return "UTF-16; calm reads UTF-8", nil
	case zeroByte(begin) >= 0:
		return "binary", nil
	case f.format == formatUnknown && !beginsUTF8(begin):
		return "not UTF-8", nil
	case f.format == formatJSON && !beginsWithObject(begin):
		return "JSON, but not an object a line", nil
	}
	return "", nil
}

// beginning returns the first bytes of a text, no more than sniffed.
func beginning(in io.Reader, compression string) ([]byte, error) {
	text, err := decompress(in, compression)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	return io.ReadAll(io.LimitReader(text, sniffed))
}

// zeroByte returns where a zero byte stands at the beginning of a text, or -1.
func zeroByte(text []byte) int { return bytes.IndexByte(text[:min(len(text), sniffed)], 0) }

// beginsUTF8 reports whether the beginning of a text is UTF-8. Its last character may be cut off.
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

// beginsWithObject reports whether the first line of a text, of which this is the beginning, is a JSON object, as far as
// one can tell.
func beginsWithObject(begin []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\ufeff")), " \t\r\n")
	line, _, whole := bytes.Cut(text, []byte("\n"))
	if whole || len(begin) < sniffed {
		return len(line) > 0 && line[0] == '{' && jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	}
	after, object := bytes.CutPrefix(line, []byte("{"))
	return object && bytes.HasPrefix(bytes.TrimLeft(after, " \t\r"), []byte(`"`))
}
