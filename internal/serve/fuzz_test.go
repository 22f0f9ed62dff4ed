package serve_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/serve"
)

// FuzzRequests sends any body to any endpoint. The server must not fail: a body is answered, or is the client's error in OpenAI's
// form, and no slot stays held.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		`{"model":"lm","prompt":"Call","max_tokens":5,"temperature":0.5,"draws":3,"sampler":"batch","stop":["a"],"n":2,"seed":1}`,
		`{"model":"lm","prompt":[[67,97.0],[1e1]],"echo":true,"max_tokens":0,"stream":true,"stream_options":{"include_usage":true},"return_token_ids":true}`,
		`{"model":"ar","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"\ud83d\ude00"}]}],"max_completion_tokens":3}`,
		`{"model":"ae","input":["a","b"],"encoding_format":"base64","pooling":"none","dimensions":8}`,
		`{"model":"lm","input":[1,2,3],"tokens":[65,1000000],"content":"a"}`,
		`{"model":"lm","top_p":0.5,"logit_bias":{"1":2},"response_format":{"type":"text"},"modalities":["text"]}`,
		`{"model":"lm","context":8,"context_full":"stop","prompt":"` + strings.Repeat("a", 300) + `"}`,
		`{"model":"lm","seed":18446744073709551615}`, `{"a":1,"a":2}`, `{"prompt":"` + "\xff" + `"}`, `null`, `[`, ``,
	} {
		for i := range len(endpoints) {
			f.Add(i, seed)
		}
	}
	s, err := serve.New(options(f, func(o *serve.Options) {
		all(o)
		o.MaxTokens, o.Timeout, o.Streams = 40, 2*time.Second, 3
	}))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, endpoint int, body string) {
		path := endpoints[uint(endpoint)%uint(len(endpoints))]
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)))
		got, _ := io.ReadAll(w.Body)
		switch {
		case w.Code == http.StatusOK && strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"):
			for event := range strings.SplitSeq(strings.TrimSuffix(string(got), "\n\n"), "\n\n") {
				if data, ok := strings.CutPrefix(event, "data: "); !ok || data != "[DONE]" && !json.Valid([]byte(data)) {
					t.Errorf("%s %q: the event %q", path, body, event)
				}
			}
		case w.Code == http.StatusOK:
			if !json.Valid(got) {
				t.Errorf("%s %q: %q", path, body, got)
			}
		case w.Code == 400 || w.Code == 404:
			var e failure
			if err := json.Unmarshal(got, &e); err != nil || e.Error.Message == "" || strings.Contains(e.Error.Message, "Go ") {
				t.Errorf("%s %q: %q, %v", path, body, got, err)
			}
		default:
			t.Errorf("%s %q: status %d, %s", path, body, w.Code, got)
		}
	})
}

var endpoints = []string{"/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/tokenize", "/detokenize"}
