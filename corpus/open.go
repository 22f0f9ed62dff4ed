package corpus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/calm-go/calm/internal/interruptible"
)

// openFile opens a file for reading. The opening of a pipe waits for a program that writes to it; openFile returns before that
// if ctx ends. A pipe can be opened only once.
func openFile(ctx context.Context, path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if info.Mode().IsRegular() {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		if info, err = file.Stat(); err != nil {
			file.Close()
			return nil, nil, err
		}
		return file, info, nil
	}
	type result struct {
		file *os.File
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		file, err := os.Open(path)
		opened <- result{file, err}
	}()
	select {
	case r := <-opened:
		return r.file, info, r.err
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.err == nil {
				r.file.Close()
			}
		}()
		return nil, nil, ctx.Err()
	}
}

// openText opens a file and returns its decompressed content, and whether it can be read again. It counts the bytes of the file
// that are read. The content is an error where the file has become shorter, and where ctx ends while a pipe waits.
func openText(ctx context.Context, f file, read *int64) (text io.ReadCloser, regular bool, err error) {
	in, info, err := openFile(ctx, f.path)
	if err != nil {
		return nil, false, fmt.Errorf("read text: %w", err)
	}
	var raw io.Reader = in
	if regular = info.Mode().IsRegular(); regular {
		raw = &complete{in: in, left: info.Size()}
	} else {
		raw = interruptible.Reader(ctx, in)
	}
	content, err := decompress(&counted{raw, read}, f.compression)
	if err != nil {
		in.Close()
		return nil, false, fmt.Errorf("%s: %w", f.path, err)
	}
	return &both{content, in}, regular, nil
}

// both closes a decompressor and its file.
type both struct {
	io.ReadCloser
	file *os.File
}

func (b *both) Close() error { return errors.Join(b.ReadCloser.Close(), b.file.Close()) }

// complete is a reader of a file that returns an error if the file ends before its size.
type complete struct {
	in   io.Reader
	left int64
}

var errShorter = errors.New("the file has become shorter while it was read")

func (c *complete) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = errShorter
	}
	return n, err
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

// maxWindow is the largest window of zstd's format, in bytes: how far back a compressed text may refer, which has to be in
// memory. It is that of the program zstd without --long.
const maxWindow = 128 << 20

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
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("not in zstd's format: %w", err)
		}
		return &zstdReader{r}, nil
	}
	return io.NopCloser(in), nil
}

// zstdReader is a decoder that explains its limit.
type zstdReader struct{ in *zstd.Decoder }

func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.in.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("compressed by zstd with a window that is too large (%w), which would have to be in memory: compress it without --long; calm reads windows of up to %d MiB", err, maxWindow>>20)
	}
	return n, err
}

func (z *zstdReader) Close() error {
	z.in.Close()
	return nil
}
