package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/calm-go/calm/internal/serve"
)

// endless asks for a text that does not end while a test runs.
const endless = `{"model":"lm","stream":true,"max_tokens":900000,"seed":%d}`

// open begins a stream and returns it after its first event.
func (s *server) open(ctx context.Context, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	got, err := http.DefaultClient.Do(r)
	if err == nil {
		_, err = bufio.NewReader(got.Body).ReadString('\n')
	}
	return got, err
}

// gauge returns a metric of the server without labels.
func (s *server) gauge(name string) int {
	s.t.Helper()
	for line := range strings.Lines(s.do("GET", "/metrics", "").body) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return int(v)
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after 20 s", what)
		}
	}
}

// TestQueue checks the order of things where all slots are held: so many requests wait as may, a further one is refused at once,
// and one that waits begins when a client goes.
func TestQueue(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.Streams, o.Queue = 2, 1 })
	var leave [2]context.CancelFunc
	for i := range leave {
		var ctx context.Context
		ctx, leave[i] = context.WithCancel(t.Context())
		got, err := s.open(ctx, fmt.Sprintf(endless, i))
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		defer leave[i]()
	}
	waiting := make(chan reply)
	go func() { waiting <- s.post("/v1/completions", `{"max_tokens":4,"seed":1}`) }()
	eventually(t, "a request waits", func() bool { return s.gauge("calm_queue_requests") == 1 })
	for _, path := range []string{"/v1/completions", "/v1/embeddings"} {
		got := s.post(path, `{"max_tokens":4,"input":"a"}`)
		checkFailure(t, "one too many", got, 429, "", "queue_full", "texts being written: 2, requests waiting: 1")
		if got.header.Get("Retry-After") != "2" {
			t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
		}
	}
	if s.gauge("calm_streams") != 2 {
		t.Errorf("%d streams", s.gauge("calm_streams"))
	}
	leave[0]()
	if got := <-waiting; got.status != 200 {
		t.Errorf("the request that waited: %+v", got)
	}
	leave[1]()
	eventually(t, "all slots are free", func() bool { return s.gauge("calm_streams") == 0 })
}

// TestTimeLimit checks that a text ends where its request has no more time, and that a request which never got its turn is told
// so.
func TestTimeLimit(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.Streams, o.Timeout = 1, 300*time.Millisecond })
	late := make(chan reply, 1)
	go func() {
		eventually(t, "a text is written", func() bool { return s.gauge("calm_streams") == 1 })
		late <- s.post("/v1/completions", `{"max_tokens":500000,"seed":2}`)
	}()
	got := ok[texts](s, "/v1/completions", `{"max_tokens":500000,"seed":1,"n":2}`)
	if c := got.Choices[0]; c.Finish != "length" || c.EndedBy != "time limit" || c.Text == "" {
		t.Errorf("%+v", c)
	}
	if c := got.Choices[1]; c.Finish != "length" || c.EndedBy != "time limit" {
		t.Errorf("the text that did not begin: %+v", c)
	}
	if got := <-late; got.status == 503 {
		checkFailure(t, "late", got, 503, "", "timeout", "did not get its turn")
	} else if got.status != 200 { // its turn came just in time
		t.Errorf("late: %+v", got)
	}
	streamed := s.stream("/v1/completions", `{"max_tokens":500000,"seed":1,"stream":true,"n":2}`)
	if c := streamed[0]; c.finish != "length" || c.text == "" {
		t.Errorf("streamed: %+v", c)
	}
	if c := streamed[1]; c == nil || c.finish != "length" {
		t.Errorf("streamed, the text that did not begin: %+v", c)
	}
}

// TestBody checks the limit of a body's size.
func TestBody(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.MaxBody = 1000 })
	if got := s.post("/tokenize", `{"content":"`+strings.Repeat("a", 986)+`"}`); got.status != 200 {
		t.Errorf("1000 bytes: %+v", got)
	}
	for _, path := range []string{"/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/tokenize", "/detokenize"} {
		checkFailure(t, path, s.post(path, `{"content":"`+strings.Repeat("a", 987)+`"}`), 413, "", "body_too_large", "1000 bytes")
	}
}

// TestSlowBodies checks that requests whose bodies are not sent take only so many places, and that those beyond are refused before
// they are read.
func TestSlowBodies(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.Streams, o.Queue = 1, 1 })
	for range 1 + 1 + 16 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a request is refused", func() bool { return s.post("/tokenize", `{"content":"a"}`).status == 429 })
	if got := s.do("GET", "/v1/models", ""); got.status != 200 {
		t.Errorf("a request without a body: %+v", got)
	}
}

// TestAccess checks keys, hosts, and pages of other sites.
func TestAccess(t *testing.T) {
	s := start(t, func(o *serve.Options) {
		o.Keys, o.Origins, o.Local = []string{"one", "two"}, []string{"https://good.example"}, true
	})
	const body = `{"content":"a"}`
	for _, key := range []string{"Bearer one", "bearer two"} {
		if got := s.do("POST", "/tokenize", body, "Authorization", key, "Host", "served.example"); got.status != 200 {
			t.Errorf("%s: %+v", key, got)
		}
	}
	for _, key := range []string{"", "Bearer", "Bearer three", "Basic one", "one", "Bearer onetwo"} {
		for _, path := range []string{"/tokenize", "/v1/completions", "/v1/nothing"} {
			got := s.do("POST", path, body, "Authorization", key)
			if checkFailure(t, key, got, 401, "", "invalid_api_key", "API key"); got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %v", key, got.header)
			}
		}
		checkFailure(t, key, s.do("GET", "/metrics", "", "Authorization", key), 401, "", "invalid_api_key", "API key")
	}
	if got := s.do("GET", "/health", ""); got.status != 200 || got.body != `{"status":"ok"}`+"\n" {
		t.Errorf("health: %+v", got)
	}
	good := s.do("POST", "/tokenize", body, "Authorization", "Bearer one", "Origin", "https://good.example", "Sec-Fetch-Site", "cross-site")
	if good.status != 200 || good.header.Get("Access-Control-Allow-Origin") != "https://good.example" {
		t.Errorf("a page that may: %+v", good)
	}
	before := s.do("OPTIONS", "/v1/completions", "", "Origin", "https://good.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-stainless-os")
	if before.status != 204 || before.header.Get("Access-Control-Allow-Headers") != "authorization,x-stainless-os" {
		t.Errorf("before a page's request: %+v", before)
	}
	bad := s.do("POST", "/tokenize", body, "Authorization", "Bearer one", "Origin", "https://bad.example", "Sec-Fetch-Site", "cross-site")
	if checkFailure(t, "a page that may not", bad, 403, "", "forbidden", "--cors"); bad.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", bad.header)
	}

	s = start(t, func(o *serve.Options) { o.Local = true })
	for host, status := range map[string]int{"localhost:80": 200, "127.0.0.1": 200, "[::1]:9": 200, "a.localhost": 200, "LOCALHOST": 200, "localhost.:80": 200, "evil.example": 403, "evil.example:8080": 403, "10.0.0.1": 403} {
		if got := s.do("POST", "/tokenize", body, "Host", host); got.status != status {
			t.Errorf("%s: %+v, want %d", host, got, status)
		}
	}
	if got := s.do("POST", "/tokenize", body, "Origin", "https://good.example"); got.status != 403 {
		t.Errorf("a page: %+v", got)
	}
	if _, err := serve.New(options(t, func(o *serve.Options) { o.Origins = []string{"good.example"} })); err == nil {
		t.Error("an origin without https:// is accepted")
	}
}

// TestDrain checks what happens when the server is to end: new requests get 503, those that run finish, and those that take too
// long are cut off.
func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		tokens int
		wait   time.Duration
		cut    bool
	}{"finish": {60000, time.Minute, false}, "cut off": {900000, 50 * time.Millisecond, true}} {
		t.Run(name, func(t *testing.T) {
			o := options(t, func(o *serve.Options) { o.Log = io.Discard })
			hs, err := serve.New(o)
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &server{hs, "http://" + l.Addr().String(), t}
			ctx, signal := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- hs.Serve(ctx, l, c.wait) }()
			got, err := s.open(t.Context(), fmt.Sprintf(`{"stream":true,"max_tokens":%d,"seed":1}`, c.tokens))
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			signal()
			if !c.cut {
				eventually(t, "the server drains", func() bool { return s.do("GET", "/health", "").status == 503 })
				refused := s.post("/tokenize", `{"content":"a"}`)
				if checkFailure(t, "while it drains", refused, 503, "", "shutting_down", "no new requests"); refused.header.Get("Retry-After") == "" {
					t.Errorf("%v", refused.header)
				}
			}
			rest, err := io.ReadAll(got.Body)
			if whole := strings.HasSuffix(string(rest), "data: [DONE]\n\n"); err != nil || whole == c.cut {
				t.Errorf("the stream ends in %q, %v", rest[max(0, len(rest)-200):], err)
			}
			if c.cut && !strings.Contains(string(rest), `"code":"shutting_down"`) {
				t.Errorf("the stream ends in %q", rest[max(0, len(rest)-200):])
			}
			if err := <-ended; (err != nil) != c.cut || c.cut && !strings.Contains(err.Error(), "1 request cut off after --drain 50ms") {
				t.Errorf("the server ended with %v", err)
			}
		})
	}
}

// TestMetrics parses the metrics with Prometheus's own parser, and checks what a few requests have counted.
func TestMetrics(t *testing.T) {
	s := start(t, all)
	ok[texts](s, "/v1/completions", `{"model":"lm","prompt":"Call","max_tokens":12,"seed":1,"n":2}`)
	ok[texts](s, "/v1/completions", `{"model":"lm","max_tokens":4,"seed":1,"temperature":0.5,"draws":9}`)
	s.post("/v1/completions", `{"model":"lm","top_p":0.5}`)
	s.do("GET", "/v1/models/ae", "")
	for i := range 5 {
		s.post(fmt.Sprintf("/nothing/%d", i), "")
		s.do("GET", fmt.Sprintf("//v1/%d/../models", i), "")
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(s.do("GET", "/metrics", "").body))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for name, family := range all {
		for _, m := range family.Metric {
			for _, label := range m.Label {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			name = family.GetName()
		}
	}
	for name, want := range map[string]float64{
		"calm_requests_total 200 /v1/completions": 2, "calm_requests_total 400 /v1/completions": 1, "calm_requests_total 404 other": 5, "calm_requests_total 200 /v1/models/MODEL": 1,
		"calm_requests_total 307 /v1/models": 5, "calm_requests_total 200 /v1/models": 5,
		"calm_prompt_tokens_total lm": 4, "calm_generated_tokens_total lm": 28, "calm_patches_total lm": 7, "calm_draws_total lm": 15,
		"calm_first_token_seconds lm": 3, "calm_patch_seconds lm": 4, "calm_request_seconds /v1/completions": 3,
		"calm_streams": 0, "calm_streams_max": 8, "calm_queue_requests": 0, "calm_models_loaded": 3,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %g, want %g", name, v, want)
		}
	}
	if all["process_cpu_seconds_total"] == nil && runtime.GOOS == "linux" || all["go_goroutines"] == nil {
		t.Error("the process has no metrics")
	}
}
