package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// web makes requests to a hub.
type web struct {
	token   string
	silence time.Duration // a connection without a byte for this long counts as cut
	pause   time.Duration // before a new attempt, doubled each time
}

// The default timeout without a byte, and the default pause before a new attempt.
const (
	silence = 30 * time.Second
	pause   = 200 * time.Millisecond
)

// hubError is an error of the hub or the network.
type hubError struct {
	status int // HTTP status; 0: no answer, or an incomplete one
	err    error
}

func (e *hubError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *hubError) Unwrap() error { return e.err }

// final reports whether the hub would give the same answer again.
func (e *hubError) final() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests && e.status != http.StatusRequestTimeout
}

var errSilent = errors.New("the hub does not answer any more")

// get requests a URL. It asks for the bytes from have on; partial reports whether the hub sends only these. The body must be
// closed. Like http.DefaultClient it follows at most ten redirects, and it does not send the token to another host.
func (w web) get(ctx context.Context, url string, have int64) (body io.ReadCloser, partial bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(w.silence, func() { cancel(errSilent) })
	stop := func() { watch.Stop(); cancel(nil) }
	defer func() {
		if err != nil {
			stop()
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, false, &hubError{err: err}
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if context.Cause(ctx) == errSilent {
			err = fmt.Errorf("%s: %w", url, errSilent)
		}
		return nil, false, &hubError{err: err}
	}
	partial = resp.StatusCode == http.StatusPartialContent && have > 0 &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))
	if !partial && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, false, refused(resp)
	}
	return &watched{resp.Body, ctx, watch, w.silence, stop}, partial, nil
}

// refused returns the error for an answer with a wrong status.
func refused(resp *http.Response) error {
	err := fmt.Errorf("the hub answers %s", resp.Status)
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		err = fmt.Errorf("%w (if it is not public, set HF_TOKEN to a token that may read it)", err)
	}
	return &hubError{resp.StatusCode, err}
}

// watched is the body of an answer. A read that waits too long fails, and the connection is closed.
type watched struct {
	io.ReadCloser
	ctx     context.Context
	watch   *time.Timer
	silence time.Duration
	stop    func()
}

// Read is the body's. An error of the network is a *hubError.
func (b *watched) Read(p []byte) (int, error) {
	b.watch.Reset(b.silence)
	n, err := b.ReadCloser.Read(p)
	b.watch.Stop() // the time to write the data does not count
	if err != nil && err != io.EOF {
		if context.Cause(b.ctx) == errSilent {
			err = errSilent
		}
		err = &hubError{err: err}
	}
	return n, err
}

// Close is the body's.
func (b *watched) Close() error {
	b.stop()
	return b.ReadCloser.Close()
}
