package serve_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/calm-go/calm/internal/serve"
	"github.com/calm-go/calm/internal/serve/servetest"
)

// choice is a streamed text.
type choice struct {
	text, finish, role string
	ids                []int32
	pieces             int
}

// events returns the data of a stream's events. It checks that the stream is made of "data: ...\n\n", and ends in [DONE].
func (s *server) events(path, body string) []string {
	s.t.Helper()
	got := s.post(path, body)
	if got.status != 200 || got.header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("%s: status %d, %s, %s", body, got.status, got.header.Get("Content-Type"), got.body)
	}
	parts := strings.Split(got.body, "\n\n")
	if n := len(parts); parts[n-1] != "" || n < 2 || parts[n-2] != "data: [DONE]" {
		s.t.Fatalf("the stream ends in %q", parts[max(0, n-2):])
	}
	var list []string
	for _, p := range parts[:len(parts)-2] {
		data, ok := strings.CutPrefix(p, "data: ")
		if !ok || strings.Contains(data, "\n") {
			s.t.Fatalf("the event %q", p)
		}
		list = append(list, data)
	}
	return list
}

// stream returns the texts of a stream, by their index.
func (s *server) stream(path, body string) map[int]*choice {
	s.t.Helper()
	all := map[int]*choice{}
	for _, data := range s.events(path, body) {
		var e struct {
			Choices []struct {
				Index  int
				Text   string
				Delta  struct{ Role, Content string }
				Finish *string `json:"finish_reason"`
				IDs    []int32 `json:"token_ids"`
			}
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			s.t.Fatalf("%s: %v", data, err)
		}
		for _, c := range e.Choices {
			of := all[c.Index]
			if of == nil {
				of = &choice{}
				all[c.Index] = of
			}
			if of.finish != "" {
				s.t.Errorf("choice %d goes on after its end: %s", c.Index, data)
			}
			if piece := c.Text + c.Delta.Content; piece != "" {
				of.text += piece
				of.pieces++
			}
			of.role += c.Delta.Role
			of.ids = append(of.ids, c.IDs...)
			if c.Finish != nil {
				of.finish = *c.Finish
			}
		}
	}
	return all
}

// masked replaces what differs between two equal requests.
func masked(events []string) string {
	all := strings.Join(events, "\n")
	for _, m := range [][2]string{{`"id":"([a-z]+)-\w+"`, `"id":"$1"`}, {`"created":\d+`, `"created":1`}, {`"fp_\w+"`, `"fp"`}} {
		all = regexp.MustCompile(m[0]).ReplaceAllString(all, m[1])
	}
	return all
}

// TestEvents compares the bytes of streams.
func TestEvents(t *testing.T) {
	s := start(t, nil)
	const body = `"seed":5,"max_tokens":6,"stream":true`
	whole := ok[texts](s, "/v1/completions", `{"prompt":"Call","seed":5,"max_tokens":6}`).Choices[0].Text
	first, second := encoded(whole[:4]), encoded(whole[4:])
	const head = `{"id":"cmpl","object":"text_completion","created":1,"model":"lm","system_fingerprint":"fp","choices":[`
	piece := func(text string) string {
		return head + `{"index":0,"text":` + text + `,"logprobs":null,"finish_reason":null}]`
	}
	const last = head + `{"index":0,"text":"","logprobs":null,"finish_reason":"length","seed":5,"ended_by":"max tokens"}]`
	for extra, want := range map[string][]string{
		``:                     {piece(first) + "}", piece(second) + "}", last + "}"},
		`,"echo":true`:         {piece(`"Call"`) + "}", piece(first) + "}", piece(second) + "}", last + "}"},
		`,"stream_options":{}`: {piece(first) + "}", piece(second) + "}", last + "}"},
		`,"stream_options":{"include_usage":true}`: {piece(first) + `,"usage":null}`, piece(second) + `,"usage":null}`, last + `,"usage":null}`,
			head + `],"usage":{"prompt_tokens":4,"completion_tokens":6,"total_tokens":10,"patches":2,"draws":2}}`},
	} {
		if got, want := masked(s.events("/v1/completions", `{"prompt":"Call",`+body+extra+"}")), strings.Join(want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", extra, got, want)
		}
	}
	const messages = `{"messages":[{"role":"user","content":"Call"}],`
	whole = ok[texts](s, "/v1/chat/completions", messages+`"seed":5,"max_tokens":6}`).Choices[0].Message.Content
	const chat = `{"id":"chatcmpl","object":"chat.completion.chunk","created":1,"model":"lm","system_fingerprint":"fp","choices":[{"index":0,"delta":`
	end := `,"logprobs":null,"finish_reason":null}]}`
	want := []string{chat + `{"role":"assistant","content":""}` + end, chat + `{"content":` + encoded(whole[:4]) + `}` + end, chat + `{"content":` + encoded(whole[4:]) + `}` + end,
		chat + `{},"logprobs":null,"finish_reason":"length","seed":5,"ended_by":"max tokens"}]}`}
	if got := masked(s.events("/v1/chat/completions", messages+body+"}")); got != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// TestStreamedError checks that an error before the text is an answer, and one in its middle an event, after which the stream
// ends without [DONE].
func TestStreamedError(t *testing.T) {
	s := start(t, nil)
	checkFailure(t, "before", s.post("/v1/completions", `{"stream":true,"context":1}`), 400, "", "", "a context of 1 token")
	middle := 0
	for seed := range 200 {
		got := s.post("/v1/completions", encoded(map[string]any{"prompt": "Call me", "stream": true, "temperature": .5, "sampler": "exact", "draws": 12, "seed": seed, "max_tokens": 64}))
		events := strings.Split(strings.TrimSuffix(got.body, "\n\n"), "\n\n")
		if got.status != 200 || len(events) < 2 || events[len(events)-1] == "data: [DONE]" {
			continue
		}
		middle++
		checkFailure(t, "middle", reply{400, nil, strings.TrimPrefix(events[len(events)-1], "data: ")}, 400, "draws", "draws_exhausted", "patch")
		break
	}
	if middle == 0 {
		t.Error("no text ended in its middle")
	}
}

// TestWholeCharacters checks that no event has a part of a character, which JSON could not hold, where patches of four bytes cut
// characters of two and three bytes.
func TestWholeCharacters(t *testing.T) {
	r, err := servetest.Train(t.TempDir(), "Été à l’œuvre ☃ où ça va — naïf. ")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *serve.Options) { o.Runs = []string{r.LM} })
	const body = `"prompt":"Été à l’œuvre ☃ ","n":32,"seed":1,"max_tokens":48}`
	whole, wide := ok[texts](s, "/v1/completions", "{"+body), 0
	for i, c := range s.stream("/v1/completions", `{"stream":true,`+body) {
		if c.text != whole.Choices[i].Text {
			t.Errorf("choice %d: %q, want %q", i, c.text, whole.Choices[i].Text)
		}
		for _, r := range c.text {
			if r > 127 && r != utf8.RuneError {
				wide++
			}
		}
	}
	if wide < 10 {
		t.Errorf("only %d characters have more than a byte", wide)
	}
}
