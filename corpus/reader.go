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

	"github.com/calm-go/calm/internal/filetype"
	"github.com/calm-go/calm/internal/interruptible"
)

// A Reader reads the documents of a [Source]. It is not safe for concurrent use.
type Reader struct {
	source Source
	files  []file // none for the embedded book
	size   int64
	notes  Notes
}

// NewReader finds the files of a source. It reads only their first kilobytes. The extension of a file decides its format:
//
//   - .txt, .text: one document
//   - .jsonl, .ndjson, .json: JSON lines, one document a line: {"text": "..."}
//   - .parquet: one document a row, from the column text
//   - .gz or .zst after any of these but .parquet: the same, compressed
//   - other extensions: one document
//
// Of a directory it takes the text files in it and below, sorted by path. [Reader.Notes] lists what is skipped: hidden files
// and directories, files whose first kilobytes are not UTF-8 text (.txt: have a zero byte), .json files that do not begin
// with an object on one line, and anything that is neither a file nor a directory. Links to directories are followed; each file
// is read once.
//
// It returns an error for a prepared directory, which has tokens, not text, and for a pipe if Source.Input is nil.
func NewReader(src Source) (*Reader, error) {
	if err := src.check(); err != nil {
		return nil, err
	}
	r := &Reader{source: src}
	if len(src.Paths) == 0 {
		return r, nil
	}
	fields := false // whether a field can be chosen
	for _, path := range src.Paths {
		if info, err := os.Stat(path); src.Input == nil && err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
			return nil, fmt.Errorf("%s is a pipe or a device: it %s", path, readTwice)
		}
		files, err := listFiles(path, &r.notes)
		if err != nil {
			return nil, fmt.Errorf("read text: %w", err)
		}
		for _, f := range files {
			if f.path == Stdin && src.Field != "" {
				f.format = formatLines
			}
			fields = fields || f.lines() || f.format == formatParquet
			r.files = append(r.files, f)
			r.size += f.size
		}
	}
	if f := src.field(); f != DefaultField && !fields {
		return nil, fmt.Errorf("there is no field %q in plain text, and %s has neither JSON lines nor Parquet: leave --field out", f, Source{Paths: src.Paths})
	}
	return r, nil
}

// Size returns the size of all files on disk, in bytes. Standard input and the embedded book count as 0.
func (r *Reader) Size() int64 { return r.size }

// Notes lists the files that are skipped, and the documents without text that [Reader.Documents] has found so far.
func (r *Reader) Notes() Notes { return r.notes }

// Documents yields the documents in the order of the paths. Documents without text are skipped. The first error ends the
// iteration; it names the file and the line or row. A text of more than 256 KiB in a plain file comes in parts (see
// [Document.More]), so that it is never in memory as a whole; they end where words end. A line of JSON has at most 128 MiB,
// and so has a page of Parquet.
func (r *Reader) Documents(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		r.notes.Empty, r.notes.FirstEmpty = 0, ""
		docs := r.all(ctx)
		if len(r.source.Paths) == 0 {
			docs = Book()
		}
		r.notes.withText(docs)(yield)
	}
}

// all yields the documents of the files, including those without text.
func (r *Reader) all(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		before, from := int64(0), int64(0)
		for _, f := range r.files {
			read := int64(0)
			err := r.file(ctx, f, &read, func(d Document) error {
				d.from, d.to = from, before+read
				from = d.to
				if !yield(d, nil) {
					return errStop
				}
				return ctx.Err()
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(Document{}, err)
				return
			}
			before += f.size
		}
	}
}

// errStop ends the reading of a file when the receiver of the documents stops.
var errStop = errors.New("the receiver has stopped")

// file calls each with the documents of a file, and stops at the first error. It keeps read at the number of bytes of the
// file that are read.
func (r *Reader) file(ctx context.Context, f file, read *int64, each func(Document) error) error {
	switch {
	case f.path == Stdin:
		return r.stdin(ctx, f.format, read, each)
	case f.format == formatParquet && f.compression != "":
		return fmt.Errorf("%s: Parquet compresses by itself; decompress the file first", f.path)
	case f.format == formatParquet:
		return readParquet(ctx, f.path, r.source.field(), read, each)
	}
	text, regular, err := openText(ctx, f, read)
	if err != nil {
		return err
	}
	defer text.Close()
	if f.lines() {
		return readLines(ctx, text, f.path, r.source.field(), each)
	}
	var again func() (io.ReadCloser, error)
	if regular {
		again = func() (io.ReadCloser, error) {
			text, _, err := openText(ctx, f, new(int64))
			if err != nil {
				return nil, err
			}
			in := bufio.NewReaderSize(text, sniffed)
			skipMark(in)
			return limited{in, text}, nil
		}
	}
	return readPlain(text, f, f.path, again, each)
}

// stdin reads standard input. This works only once.
func (r *Reader) stdin(ctx context.Context, f format, read *int64, each func(Document) error) error {
	in := r.source.Input
	if in == nil {
		return errors.New("standard input has been read to its end already")
	}
	r.source.Input = nil
	text := bufio.NewReaderSize(&counted{interruptible.Reader(ctx, in), read}, 1<<16)
	if f == formatLines {
		return readLines(ctx, text, stdinName, r.source.field(), each)
	}
	if begin, _ := text.Peek(sniffed); beginsWithObject(begin) {
		return errors.New("standard input begins with a JSON object: add --field text, or another field, to read JSON lines; to read it as plain text, write it to a .txt file")
	}
	return readPlain(text, file{format: f}, stdinName, nil, each)
}

// readPlain calls each with the content of r as one document, in parts. It returns an error if the text is UTF-16, and if the
// file has an unknown extension and looks binary. Errors of each are returned as they are.
func readPlain(r io.Reader, f file, name string, again func() (io.ReadCloser, error), each func(Document) error) error {
	in := bufio.NewReaderSize(r, sniffed)
	begin, err := in.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := notUTF16(begin, name); err != nil {
		return err
	}
	if at := zeroByte(begin); f.format == formatUnknown && at >= 0 {
		return fmt.Errorf("%s does not look like text (byte %d is zero); calm reads plain text, .jsonl, .json and .parquet, and .gz and .zst of text and JSON lines", name, at)
	}
	skipMark(in)
	var fromEach error
	size := 0
	err = eachPart(in, func(part []byte, more bool) error {
		fromEach = each(Document{Text: part, Source: name, More: more, again: again})
		again = nil // the first part has it
		size += len(part)
		return fromEach
	})
	if err != nil && fromEach == nil {
		return fmt.Errorf("%s: after %d bytes of text: %w", name, size, err)
	}
	return err
}

// notUTF16 returns an error for a text that begins like UTF-16.
func notUTF16(begin []byte, name string) error {
	if filetype.UTF16(begin) {
		return fmt.Errorf("%s is UTF-16 text, and calm reads UTF-8: convert it, as with iconv -f UTF-16 -t UTF-8", name)
	}
	return nil
}

// skipMark skips a byte order mark, which is not part of a text.
func skipMark(in *bufio.Reader) {
	if mark, _ := in.Peek(3); string(mark) == "\xef\xbb\xbf" {
		in.Discard(3)
	}
}
