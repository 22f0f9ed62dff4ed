package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// web makes requests to a hub.
type web struct {
	token     string
	silence   time.Duration     // a connection without a byte for this long counts as cut
	pause     time.Duration     // before a new attempt, doubled each time
	transport http.RoundTripper // nil: http.DefaultTransport
}

// The default timeout without a byte, and the default pause before a new attempt.
const (
	silence = 30 * time.Second
	pause   = 200 * time.Millisecond
)

// least is the number of bytes a second below which a connection counts as cut, on average over the time web.silence.
const least = 1 << 10

// window returns the number of bytes that a connection must bring in the time silence.
func (w web) window() int64 { return int64(least * w.silence.Seconds()) }

// maxRedirects is the number of redirects that a request follows.
const maxRedirects = 10

// hubError is an error of the hub or the network.
type hubError struct {
	status  int // HTTP status; 0: no answer, or an incomplete one
	err     error
	lasting bool // the hub's answer contradicts what it said before, so that asking again does not help
}

func (e *hubError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *hubError) Unwrap() error { return e.err }

// final reports whether the hub would give the same answer again.
func (e *hubError) final() bool {
	return e.lasting || e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests && e.status != http.StatusRequestTimeout
}

var (
	errSilent = errors.New("the hub does not answer any more")
	errSlow   = fmt.Errorf("the hub sends less than %d bytes a second", least)
)

// slow returns the error of a connection that was cut because it was silent or too slow, else err.
func slow(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause == errSilent || cause == errSlow {
		return cause
	}
	return err
}

// answer is the body of the hub's answer to a request. It must be closed.
type answer struct {
	io.ReadCloser
	partial bool  // it begins with the byte that was asked for, not with the first
	length  int64 // of the body, in bytes; -1: unknown
}

// get requests a URL. It asks for the bytes from have on.
func (w web) get(ctx context.Context, url string, have int64) (a *answer, err error) {
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
		return nil, &hubError{err: err}
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := (&http.Client{Transport: w.transport, CheckRedirect: redirect}).Do(req)
	if err != nil {
		if cause := slow(ctx, nil); cause != nil {
			err = fmt.Errorf("%s: %w", url, cause)
		}
		return nil, &hubError{err: err}
	}
	partial := resp.StatusCode == http.StatusPartialContent && have > 0 &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))
	if !partial && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, refused(resp)
	}
	body := &watched{ReadCloser: resp.Body, ctx: ctx, watch: watch, web: w, stop: stop}
	return &answer{body, partial, resp.ContentLength}, nil
}

// redirect decides about following a redirect. Unlike http.DefaultClient it sends the token only to the scheme, host and port that
// it was meant for: another port may be another program's, and http shows the token to everyone on the way.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if origin(req.URL) != origin(via[0].URL) {
		req.Header.Del("Authorization")
	}
	return nil
}

// origin returns a URL's scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// refused returns the error for an answer with a wrong status.
func refused(resp *http.Response) error {
	err := fmt.Errorf("the hub answers %s", resp.Status)
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		err = fmt.Errorf("%w (if it is not public, set HF_TOKEN to a token that may read it)", err)
	}
	return &hubError{status: resp.StatusCode, err: err}
}

// watched is the body of an answer. A read that waits too long fails, and so does one of a body that comes too slowly. Then the
// connection is closed.
type watched struct {
	io.ReadCloser
	ctx   context.Context
	watch *time.Timer
	web   web
	stop  func()

	waited time.Duration // in reads, since the rate was last checked
	got    int64         // bytes, since then
}

// Read is the body's. An error of the network is a *hubError.
func (b *watched) Read(p []byte) (int, error) {
	start := time.Now()
	b.watch.Reset(b.web.silence)
	n, err := b.ReadCloser.Read(p)
	b.watch.Stop() // the time to write the data does not count
	b.waited, b.got = b.waited+time.Since(start), b.got+int64(n)
	if b.waited >= b.web.silence && err == nil {
		if b.got < b.web.window() {
			return n, &hubError{err: errSlow}
		}
		b.waited, b.got = 0, 0
	}
	if err != nil && err != io.EOF {
		err = &hubError{err: slow(b.ctx, err)}
	}
	return n, err
}

// Close is the body's.
func (b *watched) Close() error {
	b.stop()
	return b.ReadCloser.Close()
}
