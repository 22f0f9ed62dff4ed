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

// web asks a hub.
type web struct {
	token   string
	silence time.Duration // after that long without a byte a connection counts as cut
	pause   time.Duration // before a new attempt, doubled each time
}

// How long the hub may say nothing, and how long it is left alone where that failed.
const (
	silence = 30 * time.Second
	pause   = 200 * time.Millisecond
)

// hubError says what the hub, or the network before it, did instead of answering as it should.
type hubError struct {
	status int // of HTTP; 0 where there was no answer, or not all of it
	err    error
}

func (e *hubError) Error() string { return e.err.Error() }

// Unwrap returns what happened.
func (e *hubError) Unwrap() error { return e.err }

// final says that the hub would answer the same again.
func (e *hubError) final() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests && e.status != http.StatusRequestTimeout
}

var errSilent = errors.New("the hub does not answer any more")

// get opens what is at a url, from the byte have on if the hub can do that: partial. Close the body. Redirects are
// followed ten times at most, as http.DefaultClient does, and the token is not sent on to another host.
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

// refused is the error of an answer that is not the wanted one.
func refused(resp *http.Response) error {
	err := fmt.Errorf("the hub answers %s", resp.Status)
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		err = fmt.Errorf("%w (if it is not public, set HF_TOKEN to a token that may read it)", err)
	}
	return &hubError{resp.StatusCode, err}
}

// watched is the body of an answer. A read that waits for too long ends, and the connection with it.
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
	b.watch.Stop() // what is read takes its time to write
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
