package corpus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/edsrzf/mmap-go"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A Reader reads the documents of a [Source]. It is for one goroutine.
type Reader struct {
	source Source
	files  []file // none for the embedded book
	size   int64
	notes  Notes
}

// NewReader finds the files of a source and reads none of them to its end.
//
//   - .txt, .text: one document
//   - .jsonl, .ndjson, .json: JSON lines, a document a line: {"text": "..."}
//   - .parquet: a document a row, from the column text
//   - .gz or .zst after any but the last: the same, compressed
//   - another ending: one document
//   - a directory: the files in it and below that are text, sorted by path. What is not read stands in [Reader.Notes]:
//     hidden files and directories, files whose first kilobytes are not UTF-8 text (of .txt: have zero bytes), .json
//     that does not begin with an object on one line, links to directories, and what is no file
//
// A prepared directory has tokens and no text: that is an error.
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

// Size returns the bytes of the files, compressed ones as they are; standard input and the embedded book count 0.
func (r *Reader) Size() int64 { return r.size }

// Notes tells what gave no document: the files passed over from the start, the documents without text as far as
// [Reader.Documents] has come.
func (r *Reader) Notes() Notes { return r.notes }

// Documents yields the documents in the order of the paths. Those without text are passed over. The first error ends
// the iteration; it names the file and the line or row. A document must fit into memory, a file need not: a compressed
// text, or one from standard input, which is one document, has at most 8 GiB, while a plain file is mapped.
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

// all yields the documents of the files, those without text too.
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

var errStop = errors.New("the receiver has had enough")

// file gives each document of a file to each and stops at the first error. It keeps read at the bytes of the file read
// so far.
func (r *Reader) file(ctx context.Context, f file, read *int64, each func(Document) error) error {
	switch {
	case f.path == Stdin:
		return r.stdin(ctx, f.format, read, each)
	case f.format == formatParquet && f.compression != "":
		return fmt.Errorf("%s: Parquet compresses by itself; decompress the file first", f.path)
	case f.format == formatParquet:
		return readParquet(f.path, r.source.field(), read, each)
	case f.compression == "" && !f.lines():
		return readText(f, read, each)
	}
	in, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer in.Close()
	text, err := decompress(&counted{in, read}, f.compression)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	defer text.Close()
	if f.lines() {
		return readLines(ctx, text, f.path, r.source.field(), each)
	}
	return readWhole(text, f, f.path, each)
}

// stdin reads standard input, which can be done once.
func (r *Reader) stdin(ctx context.Context, f format, read *int64, each func(Document) error) error {
	in := r.source.Input
	if in == nil {
		return errors.New("standard input has been read to its end already")
	}
	r.source.Input = nil
	text := bufio.NewReaderSize(&counted{&cancelled{ctx: ctx, in: in}, read}, 1<<16)
	if f == formatLines {
		return readLines(ctx, text, stdinName, r.source.field(), each)
	}
	if begin, _ := text.Peek(sniffed); beginsWithObject(begin) {
		return errors.New("standard input begins with a JSON object: add --field text, or another field, to read JSON lines; to take it as plain text write it to a .txt file")
	}
	return readWhole(text, file{format: f}, stdinName, each)
}

// mapFrom is the size in bytes from which a text file is mapped, not read. A mapping stays until the process ends: its
// pages are the file's, so it costs address space only, and nobody has to say when the text is no longer needed.
const mapFrom = 64 << 20

// readText gives a plain file as one document.
func readText(f file, read *int64, each func(Document) error) error {
	in, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	var text []byte
	if info.Mode().IsRegular() && info.Size() >= mapFrom {
		text, err = mmap.Map(in, mmap.RDONLY, 0)
	} else {
		text, err = os.ReadFile(f.path)
	}
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	*read = int64(len(text))
	return oneText(text, f, f.path, each)
}

// readWhole gives all that r has as one document.
func readWhole(r io.Reader, f file, name string, each func(Document) error) error {
	text, err := readAtMost(r, maxText)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return oneText(text, f, name, each)
}

// oneText gives a text as one document, unless its name does not promise text and its beginning is not text either.
func oneText(text []byte, f file, name string, each func(Document) error) error {
	if at := zeroByte(text); f.format == formatUnknown && at >= 0 {
		return fmt.Errorf("%s does not look like text (byte %d is zero); calm reads plain text, .jsonl, .json and .parquet, and .gz and .zst of text and JSON lines", name, at)
	}
	return each(Document{Text: text, Source: name})
}

// maxText bounds a text that is not mapped in bytes, so that a compressed bomb ends in an error and not in the machine's
// memory.
const maxText = 8 << 30

// readAtMost reads a text to its end.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("after %d bytes of text: %w", len(text), err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("more than %d bytes of text: a compressed text, or one from standard input, is one document and has to fit into memory; write it to a plain file, which is then mapped, or write its documents as JSON lines, which are read one by one", limit)
	}
	return text, nil
}

// cancelled ends reading with its context, even while the reader waits, as a terminal does. Then what it waits for is lost.
type cancelled struct {
	ctx context.Context
	in  io.Reader
	buf []byte
}

func (c *cancelled) Read(p []byte) (n int, err error) {
	if len(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	buf, done := c.buf[:len(p)], make(chan result, 1)
	go func() {
		n, err := c.in.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-c.ctx.Done():
		c.buf = nil // it may still be written to
		return 0, c.ctx.Err()
	}
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
