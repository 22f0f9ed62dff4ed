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

// download is a file on its way to the cache. It grows under the name to + ".incomplete" and gets its own when its
// checksum is right. Those names are Python's library's.
type download struct {
	web     web
	url, to string
	size    int64
	sum     hash.Hash // of nothing yet
	want    string    // what sum comes to, in hex
}

// patience is how often a connection may fail without a byte in between.
const patience = 4

// run downloads what is missing of the file, going on where an attempt, this one's or a former process's, ended.
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
			return fmt.Errorf("the connection fails: %w; what was downloaded is kept, the same command goes on", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.web.pause << failures):
		}
	}
	return d.finish(f, part)
}

// final reports whether another attempt would end the same: of an answer that stays, or of a disk.
func final(err error) bool {
	answer, ok := errors.AsType[*hubError](err)
	_, disk := errors.AsType[*fs.PathError](err)
	return disk || ok && answer.final()
}

// attempt appends what one connection brings. An answer that ends early is an error.
func (d download) attempt(ctx context.Context, f *os.File, have int64) error {
	body, partial, err := d.web.get(ctx, d.url, have)
	if err != nil {
		return err
	}
	defer body.Close()
	if !partial && have > 0 { // the whole, from the beginning
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

// finish compares the checksum and gives the file its name.
func (d download) finish(f *os.File, part string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(d.sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != d.want {
		return errors.Join(fmt.Errorf("its checksum is %s, the hub says %s: what was downloaded is thrown away, run the same command again", got, d.want), os.Remove(part))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(part, d.to)
}
