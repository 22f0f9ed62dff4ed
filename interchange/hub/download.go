package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// download is a large file on its way. It grows under the name to + ".incomplete" and gets its own when its checksum is
// right.
type download struct {
	url, token, to, sha256 string
	size                   int64
	patience               time.Duration // how long the hub may be silent
}

// attempts is how often a connection may fail without a byte in between, pause the time before the first new attempt.
const (
	attempts = 4
	pause    = 200 * time.Millisecond
)

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
		if _, final := errors.AsType[*refusedError](err); final {
			return err
		}
		if after, serr := f.Seek(0, io.SeekEnd); serr == nil && after > before {
			failures = 0
		} else if failures++; failures >= attempts {
			return &failedError{err}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause << failures):
		}
	}
	return d.finish(f, part)
}

// failedError is a connection that fails again and again.
type failedError struct{ err error }

func (e *failedError) Error() string {
	return fmt.Sprintf("the connection fails: %v; what was downloaded is kept, the same command goes on", e.err)
}

func (e *failedError) Unwrap() error { return e.err }

// refusedError is an answer that another attempt would get again.
type refusedError struct {
	code   int
	status string
}

func (e *refusedError) Error() string { return "the hub refuses it: " + e.status }

// attempt appends what one connection brings. An answer that ends early is an error, and so is silence.
func (d download) attempt(ctx context.Context, f *os.File, have int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(d.patience, func() { cancel(fmt.Errorf("nothing has come for %v", d.patience)) })
	defer silence.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return err
	}
	if d.token != "" { // not sent on to another host that the hub redirects to
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := http.DefaultClient.Do(req)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && have > 0 &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case resp.StatusCode == http.StatusOK: // the whole, from the beginning
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		have = 0
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return &refusedError{resp.StatusCode, resp.Status}
	default:
		return fmt.Errorf("the hub answers %s", resp.Status)
	}
	body := reader(func(p []byte) (int, error) {
		n, err := resp.Body.Read(p)
		silence.Reset(d.patience)
		return n, err
	})
	n, err := io.Copy(f, io.LimitReader(body, d.size-have+1))
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil && have+n < d.size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// reader is a function that reads.
type reader func(p []byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// finish compares the checksum and gives the file its name.
func (d download) finish(f *os.File, part string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != d.sha256 {
		return errors.Join(fmt.Errorf("its SHA-256 is %s, the hub says %s: what was downloaded is thrown away, run the same command again", got, d.sha256), os.Remove(part))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(part, d.to)
}
