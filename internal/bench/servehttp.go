package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/serve"
	"github.com/calm-go/calm/run"
)

// serveHTTP measures every number of readers of a server on the loopback device, which serves the run with OpenAI's API. Readers get
// events as they are written. A text may end by itself. r has what the results have in common.
func (o ServeOptions) serveHTTP(ctx context.Context, r Result, d run.DType, shape generate.Shape) error {
	most := slices.Max(o.Streams)
	server, err := serve.New(serve.Options{Runs: []string{o.Run}, Threads: o.Threads, Set: append(slices.Clone(o.Set), "dtype="+string(d)), MaxLoaded: 1,
		Streams: most, Queue: most, MaxTokens: 2 * o.Tokens, MaxBody: 1 << 20, Timeout: time.Hour, Local: true, Temperature: 1})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, time.Second) }()
	c := completions{url: fmt.Sprintf("http://%s/v1/completions", listener.Addr()), patch: shape.PatchSize, o: o,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: most}}}
	s := session{o: o, vocabulary: int32(shape.VocabSize), read: c.read}
	err = s.measure(ctx, r)
	stop()
	<-ended // requests are cut off, which is no error of the measurement
	return err
}

// completions asks a server for texts.
type completions struct {
	url    string
	patch  int // K
	o      ServeOptions
	client *http.Client
}

// read is session.read. An event is a patch.
func (c completions) read(ctx context.Context, prompt []int32, seed uint64, tokens int, patch func(tokens int)) error {
	body := map[string]any{"prompt": prompt, "seed": seed >> 1, "max_tokens": tokens, "stream": true, "temperature": c.o.Temperature} // seeds are int64
	if c.o.Temperature < 1 {
		if c.o.Sampler != "" {
			body["sampler"] = c.o.Sampler
		}
		if c.o.Draws > 0 {
			body["draws"] = c.o.Draws
		}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return fmt.Errorf("bench serve: status %d: %s", answer.StatusCode, text)
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if event, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: {")); ok && bytes.Contains(event, []byte(`"finish_reason":null`)) {
			patch(c.patch)
		}
	}
	return lines.Err()
}
