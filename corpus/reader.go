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
// with an object on one line, links to directories, and anything that is neither a file nor a directory.
//
// It returns an error for a prepared directory, which has tokens, not text.
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

// Size returns the size of all files on disk, in bytes. Standard input and the embedded book count as 0.
func (r *Reader) Size() int64 { return r.size }

// Notes lists the files that are skipped, and the documents without text that [Reader.Documents] has found so far.
func (r *Reader) Notes() Notes { return r.notes }

// Documents yields the documents in the order of the paths. Documents without text are skipped. The first error ends the
// iteration; it names the file and the line or row. Each document must fit into memory, but a large plain text file is
// mapped. A compressed text or one from standard input is one document, of at most 8 GiB.
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

// stdin reads standard input. This works only once.
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
		return errors.New("standard input begins with a JSON object: add --field text, or another field, to read JSON lines; to read it as plain text, write it to a .txt file")
	}
	return readWhole(text, file{format: f}, stdinName, each)
}

// mapFrom is the size in bytes from which a text file is mapped, not read. The mapping lasts until the process ends. It uses
// only address space, since its pages are those of the file.
const mapFrom = 64 << 20

// readText calls each with a plain file as one document.
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

// readWhole calls each with the content of r as one document.
func readWhole(r io.Reader, f file, name string, each func(Document) error) error {
	text, err := readAtMost(r, maxText)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return oneText(text, f, name, each)
}

// oneText calls each with a text as one document. It returns an error if the file has an unknown extension and looks binary.
func oneText(text []byte, f file, name string, each func(Document) error) error {
	if at := zeroByte(text); f.format == formatUnknown && at >= 0 {
		return fmt.Errorf("%s does not look like text (byte %d is zero); calm reads plain text, .jsonl, .json and .parquet, and .gz and .zst of text and JSON lines", name, at)
	}
	return each(Document{Text: text, Source: name})
}

// maxText is the largest size in bytes of a text that is not mapped. With it, a compression bomb leads to an error before it
// fills the memory.
const maxText = 8 << 30

// readAtMost reads a text to its end. It returns an error if the text has more than limit bytes.
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

// cancelled is a reader that returns when its context ends, even while it waits for input, as a terminal does. Input that
// arrives after that is lost.
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

// counted is a reader that adds the number of bytes read to n.
type counted struct {
	io.Reader
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// decompress returns the decompressed content of a file. compression is "", ".gz" or ".zst".
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
