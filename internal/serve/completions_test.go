package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/serve"
)

// TestSameText checks that a served text, in which JSON has U+FFFD for a byte that is not UTF-8, is the one that package calm writes with the same prompt, options and seed, and that
// its stream has the same text.
func TestSameText(t *testing.T) {
	s := start(t, all)
	r, _ := tinyRuns()
	models := map[string]*calm.Model{}
	for name, dir := range map[string]string{"lm": r.LM, "ar": r.AR} {
		m, err := calm.Open(dir, calm.Threads(1))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models[name] = m
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"lm", "ar"}).Draw(rt, "model")
		prompt := rapid.SampledFrom([]string{"", "C", "Call me", "a whale, é", strings.Repeat("of the sea ", 20)}).Draw(rt, "prompt")
		o := calm.Options{Seed: rapid.Uint64().Draw(rt, "seed"), MaxTokens: rapid.IntRange(1, 90).Draw(rt, "tokens"), Temperature: 1}
		body := map[string]any{"model": name, "prompt": prompt, "seed": o.Seed, "max_tokens": o.MaxTokens, "return_token_ids": true}
		if t := rapid.SampledFrom([]float64{1, .6, 0}).Draw(rt, "temperature"); t < 1 {
			if o.Temperature = t; t == 0 {
				o.Temperature = calm.Greedy
			}
			body["temperature"] = t
			if name == "lm" {
				o.Draws, o.Sampler = 8, rapid.SampledFrom([]calm.Sampler{calm.Prefix, calm.Batch}).Draw(rt, "sampler")
				body["draws"], body["sampler"] = 8, o.Sampler
			}
		}
		if stop := rapid.SampledFrom([]string{"", "e", "ale"}).Draw(rt, "stop"); stop != "" {
			o.StopTexts, body["stop"] = []string{stop}, stop
		}
		n := rapid.IntRange(1, 3).Draw(rt, "n")
		body["n"] = n
		got := ok[texts](s, "/v1/completions", encoded(body))
		if len(got.Choices) != n {
			rt.Fatalf("%d choices", len(got.Choices))
		}
		body["stream"] = true
		streamed := s.stream("/v1/completions", encoded(body))
		for i, c := range got.Choices {
			want := o
			want.Seed += uint64(i)
			text, ids, result := written(t, models[name], prompt, want)
			if c.Index != i || c.Seed != want.Seed || c.Text != string([]rune(text)) || !slices.Equal(c.IDs, ids) || c.EndedBy != string(result.Stop) {
				rt.Errorf("choice %d: %+v; want %q, %v, %v", i, c, text, ids, result.Stop)
			}
			if x := streamed[i]; x.text != c.Text || x.finish != c.Finish || !slices.Equal(x.ids, ids) {
				rt.Errorf("choice %d streamed: %+v; want %+v", i, x, c)
			}
		}
	})
}

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// written returns what package calm writes.
func written(t *testing.T, m *calm.Model, prompt string, o calm.Options) (text string, ids []int32, r calm.Result) {
	t.Helper()
	g := m.Generate(context.Background(), prompt, o)
	for chunk, err := range g.Chunks() {
		if err != nil {
			t.Fatal(err)
		}
		text += chunk.Text
		ids = append(ids, chunk.Tokens...)
	}
	return text, ids, g.Result()
}

// TestPrompts checks the forms of a prompt: each choice follows its own, and ids are the text that they stand for.
func TestPrompts(t *testing.T) {
	s := start(t, nil)
	one := func(prompt string) string {
		return ok[texts](s, "/v1/completions", fmt.Sprintf(`{"prompt":%s,"seed":5,"max_tokens":12}`, prompt)).Choices[0].Text
	}
	call, whale := one(`"Call"`), one(`"whale"`)
	if call == whale {
		t.Fatalf("both prompts give %q", call)
	}
	for body, want := range map[string][]string{
		`{"prompt":["Call","whale"],"n":1`:                             {call, whale},
		`{"prompt":[67,97,108,108]`:                                    {call},
		`{"prompt":[67.0,97,1.08e2,108],"best_of":1.0,"n":1.0`:         {call},
		`{"prompt":[[67,97,108,108],[119,104,97,108,101]]`:             {call, whale},
		`{"prompt":"Call","echo":true`:                                 {"Call" + call},
		`{"prompt":[[67,97,108,108]],"echo":true`:                      {"Call" + call},
		`{"prompt":"Call","frob":{"new":[1]},"user":"me","top_p":null`: {call},
		`{"prompt":"Call","top_p":1.0,"presence_penalty":0,"frequency_penalty":0.0,"logprobs":null,"logit_bias":{},"suffix":"","stop":null,"best_of":null`: {call},
		`{"prompt":"Call","model":"lm","sampler":null`: {call},
	} {
		got := ok[texts](s, "/v1/completions", body+`,"seed":5,"max_tokens":12}`)
		var list []string
		for i, c := range got.Choices {
			if list = append(list, c.Text); c.Index != i {
				t.Errorf("%s: choice %d has the index %d", body, i, c.Index)
			}
		}
		if !slices.Equal(list, want) {
			t.Errorf("%s: %q, want %q", body, list, want)
		}
	}
	two := ok[texts](s, "/v1/completions", `{"prompt":["Call","whale"],"n":2,"seed":5,"max_tokens":12}`)
	if len(two.Choices) != 4 || two.Choices[0].Text != call || two.Choices[2].Text != whale || two.Usage.Prompt != 9 || two.Usage.Completion != 48 || two.Usage.Total != 57 || two.Usage.Patches != 12 {
		t.Errorf("two texts of two prompts: %+v", two)
	}
	if none := ok[texts](s, "/v1/completions", `{"prompt":"Call","echo":true,"max_tokens":0}`); none.Choices[0].Text != "Call" || none.Choices[0].Finish != "length" || none.Usage.Completion != 0 {
		t.Errorf("no token: %+v", none)
	}
	if whole := ok[texts](s, "/v1/completions", `{"prompt":"Call","seed":1}`); whole.Usage.Completion == 0 || whole.Usage.Completion > 64 {
		t.Errorf("without max_tokens: %+v", whole)
	}
	a, b := ok[texts](s, "/v1/completions", `{"max_tokens":40}`), ok[texts](s, "/v1/completions", `{"max_tokens":40}`)
	if a.Choices[0].Seed == b.Choices[0].Seed {
		t.Errorf("two requests without a seed have the seed %d", a.Choices[0].Seed)
	}
	again := ok[texts](s, "/v1/completions", fmt.Sprintf(`{"max_tokens":40,"seed":%d}`, a.Choices[0].Seed))
	if again.Choices[0].Text != a.Choices[0].Text {
		t.Errorf("with the seed of %q: %q", a.Choices[0].Text, again.Choices[0].Text)
	}
}

// TestDefaults checks that the server's temperature, sampler and draws hold for requests without them.
func TestDefaults(t *testing.T) {
	s := start(t, func(o *serve.Options) {
		all(o)
		o.Temperature, o.Sampler, o.Draws = .5, calm.Batch, 20
	})
	for body, draws := range map[string]int{
		`{"model":"lm"`: 20, `{"model":"lm","draws":7`: 7, `{"model":"lm","temperature":1`: 1, `{"model":"lm","sampler":"prefix","temperature":0.2`: 64,
		`{"model":"lm","sampler":"batch"`: 20, `{"model":"ar"`: 4,
	} {
		if got := ok[texts](s, "/v1/completions", body+`,"max_tokens":4,"seed":1}`); got.Usage.Draws != draws {
			t.Errorf("%s: %d draws, want %d", body, got.Usage.Draws, draws)
		}
	}
}

// TestRefused checks the errors of requests: their status, field and code.
func TestRefused(t *testing.T) {
	s := start(t, all)
	long := strings.Repeat("x", 1001)
	cases := []struct {
		path, body, param, code, message string
		status                           int
	}{
		{"completions", `{"model":"lm","temperature":1.01}`, "temperature", "", "likelihood-free", 400},
		{"completions", `{"model":"lm","temperature":-1}`, "temperature", "", "0 to 1", 400},
		{"completions", `{"model":"lm","temperature":"hot"}`, "temperature", "", "is text: want a number", 400},
		{"completions", `{"model":"lm","temperature":1e999}`, "temperature", "", "too large", 400},
		{"completions", `{"model":"lm","max_tokens":1.5}`, "max_tokens", "", "whole number", 400},
		{"completions", `{"model":"lm","max_tokens":-1}`, "max_tokens", "", "whole number", 400},
		{"completions", `{"model":"lm","max_tokens":[]}`, "max_tokens", "", "is a list", 400},
		{"completions", `{"model":"lm","max_tokens":9000000}`, "max_tokens", "max_tokens_exceeded", "at most 1048576", 400},
		{"completions", `{"model":"lm","n":0}`, "n", "", "from 1 to 128", 400},
		{"completions", `{"model":"lm","n":100,"prompt":["a","b"]}`, "n", "", "200 texts", 400},
		{"completions", `{"model":"lm","seed":1.5}`, "seed", "", "64 bits", 400},
		{"completions", `{"model":"lm","stream":1}`, "stream", "", "true or false", 400},
		{"completions", `{"model":"lm","echo":"yes"}`, "echo", "", "true or false", 400},
		{"completions", `{"model":"lm","stop":3}`, "stop", "", "is a number", 400},
		{"completions", `{"model":"lm","stop":["a",3]}`, "stop[1]", "", "is a number", 400},
		{"completions", `{"model":"lm","stop":[""]}`, "stop", "", "1 to 1000", 400},
		{"completions", `{"model":"lm","stop":"` + long + `"}`, "stop", "", "1 to 1000", 400},
		{"completions", `{"model":"lm","prompt":[]}`, "prompt", "", "empty list", 400},
		{"completions", `{"model":"lm","prompt":["a",[1]]}`, "prompt", "", "both texts and ids", 400},
		{"completions", `{"model":"lm","prompt":[1,"a"]}`, "prompt[1]", "", "is text", 400},
		{"completions", `{"model":"lm","prompt":[-1]}`, "prompt", "", "0 or more", 400},
		{"completions", `{"model":"lm","prompt":[999]}`, "prompt", "", "has 0 to 258", 400},
		{"completions", `{"model":"lm","stream_options":{"include_usage":true}}`, "stream_options", "", "for streams", 400},
		{"completions", `{"model":"lm","draws":9}`, "draws", "", "leave draws out", 400},
		{"completions", `{"model":"lm","sampler":"batch"}`, "sampler", "", "leave it out", 400},
		{"completions", `{"model":"lm","sampler":"nucleus","temperature":0.5}`, "", "", `sampler "nucleus"`, 400},
		{"completions", `{"model":"lm","context":1000000}`, "", "", "a context of 1000000", 400},
		{"completions", `{"model":"ar","sampler":"batch","temperature":0.5}`, "", "", "leave the sampler out", 400},
		{"completions", `{"model":"lm","temperature":0.5,"sampler":"exact","draws":2,"seed":1}`, "draws", "draws_exhausted", "patch 1", 400},
		{"completions", `{"model":"ae"}`, "model", "", "it cannot write", 400},
		{"completions", `{"prompt":"a"}`, "model", "", "lm, ar, ae", 400},
		{"completions", `{"model":"gpt-4"}`, "model", "model_not_found", "lm, ar, ae", 404},
		{"completions", `{"model":3}`, "model", "", "is a number", 400},
		{"completions", `{"model":"lm","model":"lm"}`, "", "", "duplicate", 400},
		{"completions", `{"model":"lm"}{}`, "", "", "byte 14", 400},
		{"completions", `[]`, "", "", "is a list", 400},
		{"completions", ` `, "", "", "empty", 400},
		{"chat/completions", `{"model":"lm"}`, "messages", "", "no messages", 400},
		{"chat/completions", `{"model":"lm","messages":[]}`, "messages", "", "empty list", 400},
		{"chat/completions", `{"model":"lm","messages":[3]}`, "messages[0]", "", "want an object", 400},
		{"chat/completions", `{"model":"lm","messages":[{"role":"tool","content":"a"}]}`, "messages[0]", "", `"tool"`, 400},
		{"chat/completions", `{"model":"lm","messages":[{"role":"user"}]}`, "messages[0].content", "", "missing", 400},
		{"chat/completions", `{"model":"lm","messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "messages[0].content[0]", "unsupported_parameter", "text only", 400},
		{"embeddings", `{"model":"lm"}`, "input", "", "no input", 400},
		{"embeddings", `{"model":"lm","input":""}`, "input", "", "empty", 400},
		{"embeddings", `{"model":"lm","input":[999]}`, "input", "", "has 0 to 258", 400},
		{"embeddings", `{"model":"lm","input":"a","dimensions":3}`, "dimensions", "unsupported_parameter", "have 8", 400},
		{"embeddings", `{"model":"lm","input":"a","encoding_format":"int8"}`, "encoding_format", "", "float or base64", 400},
		{"embeddings", `{"model":"lm","input":"a","pooling":"max"}`, "pooling", "", "mean", 400},
		{"embeddings", `{"model":"ar","input":"a"}`, "model", "", "no latent vectors", 400},
		{"nothing", `{}`, "", "unknown_url", "/v1/nothing", 404},
	}
	for field, value := range map[string]string{"top_p": "0.9", "top_k": "5", "min_p": "0.1", "typical_p": "0.5", "frequency_penalty": "1", "presence_penalty": "-1", "logit_bias": `{"5":1}`,
		"logprobs": "0", "top_logprobs": "2", "best_of": "2", "suffix": `"."`, "tools": `[{}]`, "tool_choice": `"required"`, "functions": "[3]", "function_call": `{"name":"f"}`,
		"response_format": `{"type":"json_object"}`, "modalities": `["audio"]`, "repetition_penalty": "1.1", "audio": `{"a":1}`, "prediction": `"a"`, "web_search_options": "3"} {
		got := s.post("/v1/completions", fmt.Sprintf(`{"model":"lm","%s":%s}`, field, value))
		checkFailure(t, field, got, 400, field, "unsupported_parameter", "cannot be had")
	}
	for _, c := range cases {
		checkFailure(t, c.path+" "+c.body, s.post("/v1/"+c.path, c.body), c.status, c.param, c.code, c.message)
	}
	checkFailure(t, "GET", s.do("GET", "/v1/completions", ""), 405, "", "method_not_allowed", "want POST")
	checkFailure(t, "POST", s.post("/v1/models", ""), 405, "", "method_not_allowed", "want GET")
	checkFailure(t, "model", s.do("GET", "/v1/models/gone", ""), 404, "model", "model_not_found", "lm, ar, ae")
	checkFailure(t, "detokenize", s.post("/detokenize", `{"model":"lm","tokens":[5,999]}`), 400, "tokens", "", "no id 999")
	checkFailure(t, "tokenize", s.post("/tokenize", `{"model":"lm"}`), 400, "content", "", "no content")
}

// TestIgnoreUnsupported checks that fields which the model cannot have are ignored if the server's options say so. A temperature
// above 1 is not.
func TestIgnoreUnsupported(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.IgnoreUnsupported = true })
	plain := ok[texts](s, "/v1/completions", `{"seed":3,"max_tokens":20}`)
	got := ok[texts](s, "/v1/completions", `{"seed":3,"max_tokens":20,"top_p":0.3,"logprobs":5,"presence_penalty":2,"tools":[{}]}`)
	if got.Choices[0].Text != plain.Choices[0].Text {
		t.Errorf("%q, want %q", got.Choices[0].Text, plain.Choices[0].Text)
	}
	checkFailure(t, "temperature", s.post("/v1/completions", `{"temperature":2}`), 400, "temperature", "", "likelihood-free")
}

// TestLongNames checks that runs whose directories have the same name are told apart, in paths too.
func TestLongNames(t *testing.T) {
	a, b := copyRun(t, nil), copyRun(t, nil)
	s := start(t, func(o *serve.Options) { o.Runs = []string{a, b} })
	names := s.Models()
	if len(names) != 2 || names[0] == names[1] || !strings.HasSuffix(names[0], "/copy") {
		t.Fatalf("%q", names)
	}
	for _, name := range names {
		for _, path := range []string{name, strings.ReplaceAll(name, "/", "%2F")} {
			if got := s.do("GET", "/v1/models/"+path, ""); got.status != 200 || !strings.Contains(got.body, `"id":"`+name+`"`) {
				t.Errorf("%s: %+v", path, got)
			}
		}
		ok[texts](s, "/v1/completions", fmt.Sprintf(`{"model":"%s","max_tokens":1}`, name))
	}
}

// TestTokens checks that a text and its ids are exchanged.
func TestTokens(t *testing.T) {
	s := start(t, all)
	const text = "Çall <s>\n"
	ids := ok[struct {
		Tokens []int32
		Count  int
	}](s, "/tokenize", encoded(map[string]any{"model": "ae", "content": text}))
	if ids.Count != len(text) || len(ids.Tokens) != len(text) {
		t.Fatalf("%+v", ids)
	}
	back := ok[struct{ Content string }](s, "/detokenize", encoded(map[string]any{"model": "lm", "tokens": ids.Tokens}))
	if back.Content != text {
		t.Errorf("%q", back.Content)
	}
	if got := s.post("/tokenize", `{"model":"lm","content":""}`); got.body != `{"count":0,"tokens":[]}`+"\n" {
		t.Errorf("nothing: %s", got.body)
	}
}

// TestFingerprint: it follows the weights that were loaded, also where the run was trained further meanwhile.
func TestFingerprint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lm")
	s := start(t, func(o *serve.Options) {
		if err := os.CopyFS(dir, os.DirFS(o.Runs[0])); err != nil {
			t.Fatal(err)
		}
		all(o)
		o.Runs, o.MaxLoaded = []string{dir, o.Runs[1]}, 1
	})
	ask := func(model string) string {
		return ok[struct {
			Fingerprint string `json:"system_fingerprint"`
		}](s, "/v1/completions", `{"model":"`+model+`","max_tokens":1}`).Fingerprint
	}
	first := ask("lm")
	if again := ask("lm"); again != first || first == "" {
		t.Errorf("%q, then %q", first, again)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "model.safetensors"), later, later); err != nil {
		t.Fatal(err)
	}
	ask("ar") // lm is closed
	ask("lm")
	if now := ask("lm"); now == first {
		t.Errorf("other weights have the fingerprint %q too", now)
	}
}

// TestAnswerSize: an answer is bounded by the tokens of a request, prompts that are echoed and texts that are embedded included.
func TestAnswerSize(t *testing.T) {
	s := start(t, func(o *serve.Options) { o.MaxTokens = 50 })
	const prompt = `"model":"lm","prompt":"a whale, and I shall sing"` // 25 tokens
	ok[texts](s, "/v1/completions", `{`+prompt+`,"n":2,"max_tokens":0,"echo":true}`)
	ok[texts](s, "/v1/completions", `{`+prompt+`,"n":3,"max_tokens":1}`)
	checkFailure(t, "echo", s.post("/v1/completions", `{`+prompt+`,"n":3,"max_tokens":0,"echo":true}`), 400, "echo", "", "75 tokens")
	input := strings.Repeat("a", 25)
	ok[any](s, "/v1/embeddings", `{"model":"lm","input":["`+input+`","`+input+`"]}`)
	checkFailure(t, "embeddings", s.post("/v1/embeddings", `{"model":"lm","input":["`+input+`","a`+input+`"]}`), 400, "input", "", "51 tokens")
}
