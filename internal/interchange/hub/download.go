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

// patience is the number of connections in a row that may fail without receiving a byte.
const patience = 4

// run downloads the missing part of the file. It continues where an earlier attempt, also of another process, ended.
func (d download) run(ctx context.Context) error {
	part := d.to + ".incomplete"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	failures := 0
	for {
		before, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		if before == d.size {
			break
		}
		if before > d.size { // not ours
			if err := f.Truncate(0); err != nil {
				return err
			}
			continue
		}
		err = d.attempt(ctx, f, before)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if final(err) {
			return err
		}
		if after, serr := f.Seek(0, io.SeekEnd); serr == nil && after > before {
			failures = 0
		} else if failures++; failures >= patience {
			return fmt.Errorf("the connection fails: %w; what was downloaded is kept: run the same command to continue", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.web.pause << failures):
		}
	}
	return d.finish(f, part)
}

// final reports whether another attempt would fail with the same error, such as a permanent answer of the hub or a disk error.
func final(err error) bool {
	answer, ok := errors.AsType[*hubError](err)
	_, disk := errors.AsType[*fs.PathError](err)
	return disk || ok && answer.final()
}

// attempt appends the data of one connection. It returns an error if the answer ends early.
func (d download) attempt(ctx context.Context, f *os.File, have int64) error {
	body, partial, err := d.web.get(ctx, d.url, have)
	if err != nil {
		return err
	}
	defer body.Close()
	if !partial && have > 0 { // the answer has the whole file
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		have = 0
	}
	n, err := io.Copy(f, io.LimitReader(body, d.size-have+1))
	if err == nil && have+n < d.size {
		err = &hubError{err: io.ErrUnexpectedEOF}
	}
	return err
}

// finish checks the checksum and renames the file.
func (d download) finish(f *os.File, part string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
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
