package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm"
)

type token struct {
	ID   int32
	Name string
	Text string
}

type line struct {
	Patch *struct {
		Tokens []token
		Text   string
		Draws  int
		Ms     float64
		Shares []float64
	}
	End *struct {
		Stop    string
		Message string
		Tokens  int
		Patches int
		Draws   int
	}
	Error string
}

// TestWrite: the stream has the text, the tokens and the draws that the library has for the same request.
func TestWrite(t *testing.T) {
	h, l := handler(t)
	for _, c := range []struct {
		model       string
		temperature float64
		sampler     string
		draws       int
	}{{"lm", 1, "", 0}, {"lm", .5, "prefix", 8}, {"lm", 0, "batch", 5}, {"lm", .8, "exact", 0}, {"more/ar", .5, "", 0}, {"", 1, "", 0}} {
		body := map[string]any{"model": c.model, "prompt": "the ", "temperature": c.temperature, "sampler": c.sampler, "draws": c.draws, "seed": 3, "max_tokens": 21}
		status, text := ask(t, h, "/api/write", body)
		if status != http.StatusOK {
			t.Fatalf("%v: status %d: %s", body, status, text)
		}
		name := c.model
		if name == "" {
			name = "lm"
		}
		m, release, err := l.acquire(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		o := calm.Options{Temperature: c.temperature, Sampler: calm.Sampler(c.sampler), Draws: c.draws, Seed: 3, MaxTokens: 21}
		if c.temperature == 0 {
			o.Temperature = calm.Greedy
		}
		g := m.Generate(t.Context(), "the ", o)
		var want strings.Builder
		for piece, err := range g.Text() {
			if err != nil {
				t.Fatal(err)
			}
			want.WriteString(piece)
		}
		release()
		var got, byToken strings.Builder
		draws, tokens, patches := 0, 0, 0
		list := lines[line](t, text)
		for _, line := range list[:len(list)-1] {
			if line.Patch == nil || line.Patch.Ms < 0 {
				t.Fatalf("%v: %s", body, text)
			}
			got.WriteString(line.Patch.Text)
			draws += line.Patch.Draws
			patches++
			for _, token := range line.Patch.Tokens {
				byToken.WriteString(token.Text)
				tokens++
			}
			want := 0
			if c.temperature < 1 && c.sampler != "exact" && c.model != "more/ar" {
				want = len(line.Patch.Tokens)
			}
			if n := len(line.Patch.Shares); n != want {
				t.Errorf("%v: %d shares of %d tokens, want %d", body, n, len(line.Patch.Tokens), want)
			}
		}
		end := list[len(list)-1].End
		r := g.Result()
		if end == nil || end.Stop != string(r.Stop) || end.Tokens != r.Tokens || end.Patches != r.Patches || end.Draws != r.Draws || end.Message != r.Message() {
			t.Errorf("%v ends with %+v, want %+v", body, end, r)
		}
		valid := string([]rune(want.String())) // bytes that are no characters are U+FFFD
		if got.String() != valid || byToken.String() != valid || draws != r.Draws || tokens != r.Tokens || patches != r.Patches {
			t.Errorf("%v: %q by patches, %q by tokens, want %q; %d draws, %d tokens, %d patches, want %+v", body, got.String(), byToken.String(), valid, draws, tokens, patches, r)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	h, _ := handler(t)
	good := func(key string, v any) map[string]any {
		body := map[string]any{"model": "lm", "prompt": "the ", "max_tokens": 4}
		body[key] = v
		return body
	}
	const bad = http.StatusBadRequest
	for _, c := range []struct {
		body   any
		status int
		words  string
	}{
		{good("temperature", 1.5), bad, "temperature"},
		{good("temperature", -1), bad, "temperature"},
		{good("max_tokens", 0), bad, "max_tokens"},
		{good("max_tokens", 1_000_000), bad, "max_tokens"},
		{good("draws", -1), bad, "draws"},
		{good("draws", 10_001), bad, "draws"},
		{good("sampler", "best"), bad, "sampler"},
		{good("seed", -1), bad, "cannot be read"},
		{good("prompt", strings.Repeat("x", 33_000)), bad, "33000 bytes"},
		{good("prompt", strings.Repeat("x", 70_000)), http.StatusRequestEntityTooLarge, "65536"},
		{good("top_p", 1), bad, "top_p"},
		{good("model", "other"), http.StatusNotFound, "other"},
		{good("model", "ae"), bad, "autoencoder"},
		{`{"prompt":"a","prompt":"b","max_tokens":1}`, bad, "prompt"},
		{`{"prompt":"a","max_tokens":1} {}`, bad, "cannot be read"},
		{`{"Prompt":"a","max_tokens":1}`, bad, "Prompt"},
		{`[]`, bad, "cannot be read"},
		{``, bad, "cannot be read"},
		{`{`, bad, "cannot be read"},
	} {
		refused(t, h, "/api/write", c.body, c.status, c.words)
	}
	if status, _ := ask(t, h, "/api/write", nil); status != http.StatusNotFound {
		t.Errorf("GET: status %d", status)
	}
}

// TestWriteStops: a client that goes away ends the text, and the model is released.
func TestWriteStops(t *testing.T) {
	h, l := handler(t)
	server := httptest.NewServer(h)
	defer server.Close()
	for i := range 5 {
		ctx, stop := context.WithCancel(t.Context())
		body := fmt.Sprintf(`{"prompt":"the ","max_tokens":4096,"temperature":0.5,"draws":4000,"seed":%d}`, i)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/write", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var first line
		if err := json.NewDecoder(answer.Body).Decode(&first); err != nil || first.Patch == nil {
			t.Fatalf("the first line is %+v, %v", first, err)
		}
		stop()
		answer.Body.Close()
		for end := time.Now().Add(10 * time.Second); !l.released(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the text goes on without its client")
			}
		}
	}
}

// FuzzWrite: whatever is sent, the answer is lines of JSON or one sentence.
func FuzzWrite(f *testing.F) {
	f.Add(`{"model":"lm","prompt":"the ","temperature":0.5,"sampler":"batch","draws":2,"seed":1,"max_tokens":5}`)
	f.Add(`{"prompt":"\ud800","max_tokens":1e9}`)
	fuzz(f, "/api/write")
}

func FuzzPack(f *testing.F) {
	f.Add(`{"model":"ae","text":"the whale","seed":18446744073709551615}`)
	f.Add(`{"text":"\u0000é"}`)
	fuzz(f, "/api/pack")
}

func FuzzUnpack(f *testing.F) {
	f.Add(`{"model":"ae","text":"the whale","seed":1,"sigma":0.5}`)
	f.Add(`{"text":"x","sigma":1e-400}`)
	fuzz(f, "/api/unpack")
}

func fuzz(f *testing.F, path string) {
	dir, err := barely()
	if err != nil {
		f.Fatal(err)
	}
	h, l := handlerOf(f, dir)
	f.Fuzz(func(t *testing.T, body string) {
		ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer stop()
		status, text := askWithin(ctx, t, h, path, body)
		if ctx.Err() != nil {
			return // a long text, whose client has gone
		}
		if status != http.StatusOK {
			var e struct{ Error string }
			if err := json.Unmarshal([]byte(text), &e); err != nil || e.Error == "" || status == http.StatusInternalServerError {
				t.Errorf("%q: status %d, %q, %v", body, status, text, err)
			}
			return
		}
		if n := len(lines[map[string]any](t, text)); n == 0 {
			t.Errorf("%q: an empty answer", body)
		}
		if !l.released() {
			t.Error("the model is not released")
		}
	})
}
