package hub

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"
)

// download is the download of a file to the cache. The file is called to + ".incomplete" until it is complete and its checksum is
// right. Hugging Face's Python library uses the same names.
type download struct {
	web     web
	url, to string
	size    int64
	sum     hash.Hash // a new hash
	want    string    // the checksum that the file must have, in hexadecimal
}

// patience is the number of connections in a row that may fail without progress: without what one connection must bring in the time
// web.silence.
const patience = 4

// connections returns the largest number of connections for a file of that many bytes, whatever they bring.
func connections(size int64) int { return int(64 + size>>24) }

// run downloads the missing part of the file. It continues where an earlier attempt, also of another process, ended.
func (d download) run(ctx context.Context) error {
	part := d.to + ".incomplete"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	failures, most := 0, int64(0) // most bytes that the file had
	for left := connections(d.size); ; left-- {
		have, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		if have > d.size { // not ours
			if err := errors.Join(f.Truncate(0), rewind(f)); err != nil {
				return err
			}
			have = 0
		}
		if have == d.size {
			return d.finish(f, part)
		}
		most = max(most, have)
		err = d.attempt(ctx, f, have)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		if final(err) {
			return err
		}
		failures++
		if after, serr := f.Seek(0, io.SeekEnd); serr == nil && after-most >= d.web.window() {
			failures = 0
		}
		if failures >= patience || left <= 1 {
			return fmt.Errorf("the connection fails: %w; what was downloaded is kept: run the same command to continue", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.web.pause << failures):
		}
	}
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// final reports whether another attempt would fail with the same error, such as a permanent answer of the hub or a disk error.
func final(err error) bool {
	answer, ok := errors.AsType[*hubError](err)
	_, disk := errors.AsType[*fs.PathError](err)
	return disk || ok && answer.final()
}

// attempt appends the data of one connection. It returns an error if the answer ends early, or is longer than the hub's list of
// files says.
func (d download) attempt(ctx context.Context, f *os.File, have int64) error {
	body, err := d.web.get(ctx, d.url, have)
	if err != nil {
		return err
	}
	defer body.Close()
	if !body.partial && have > 0 { // the answer has the whole file
		if err := errors.Join(f.Truncate(0), rewind(f)); err != nil {
			return err
		}
		have = 0
	}
	left := d.size - have
	if body.length > left {
		return d.tooLong()
	}
	n, err := io.Copy(f, io.LimitReader(body, left))
	switch {
	case err != nil:
		return err
	case n < left:
		return &hubError{err: io.ErrUnexpectedEOF}
	case body.length < 0:
		if more, _ := io.ReadFull(body, make([]byte, 1)); more > 0 {
			return d.tooLong()
		}
	}
	return nil
}

func (d download) tooLong() error {
	return &hubError{err: fmt.Errorf("the hub sends more than the %d bytes that its list of files says", d.size), lasting: true}
}

// finish checks the checksum and renames the file.
func (d download) finish(f *os.File, part string) error {
	if err := rewind(f); err != nil {
		return err
	}
	if _, err := io.Copy(d.sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != d.want {
		return errors.Join(fmt.Errorf("its checksum is %s, the hub says %s: what was downloaded is deleted, run the same command again", got, d.want), os.Remove(part))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(part, d.to)
}
