package serve_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/serve"
	"github.com/calm-go/calm/run"
)

// copyRun returns a copy of the tiny language model's run, with further files.
func copyRun(t *testing.T, files map[string]string) string {
	t.Helper()
	r, err := tinyRuns()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(r.LM)); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const chatML = `{% for m in messages %}<|im_start|>{{ m['role'] }}
{{ m['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

// TestTemplate checks that a chat is what the run's template makes of it: the same text is written after the template's text as a
// prompt.
func TestTemplate(t *testing.T) {
	const want = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nCall<|im_end|>\n<|im_start|>assistant\n"
	for name, files := range map[string]map[string]string{
		"its own file":      {"chat_template.jinja": chatML},
		"of the tokenizer":  {"tokenizer_config.json": encoded(map[string]any{"chat_template": chatML, "added_tokens_decoder": map[string]any{}})},
		"one of several":    {"tokenizer_config.json": encoded(map[string]any{"chat_template": []any{map[string]string{"name": "tool_use", "template": "x"}, map[string]string{"name": "default", "template": chatML}}})},
		"a file and others": {"chat_template.jinja": chatML, "tokenizer_config.json": `{"chat_template":"x"}`},
	} {
		dir := copyRun(t, files)
		s := start(t, func(o *serve.Options) { o.Runs = []string{dir} })
		got := ok[texts](s, "/v1/chat/completions", `{"messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Ca"},{"type":"text","text":"ll"}]}],"max_tokens":20,"seed":3}`)
		text := ok[texts](s, "/v1/completions", encoded(map[string]any{"prompt": want, "max_tokens": 20, "seed": 3}))
		if got.Choices[0].Message.Content != text.Choices[0].Text || got.Usage.Prompt != len(want) {
			t.Errorf("%s: %+v, want %+v", name, got, text)
		}
		if card := s.do("GET", "/v1/models/copy", "").body; !strings.Contains(card, `"chat_template":true`) || !strings.Contains(card, "A base model") {
			t.Errorf("%s: %s", name, card)
		}
	}
}

// TestSpecialTokens checks that a template has the literals of special tokens, which are the tokens, and that BOS stands once
// before the text.
func TestSpecialTokens(t *testing.T) {
	dir := copyRun(t, map[string]string{"chat_template.jinja": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"})
	s := start(t, func(o *serve.Options) { o.Runs = []string{dir} })
	got := ok[texts](s, "/v1/chat/completions", `{"messages":[{"role":"user","content":"Call"}],"max_tokens":20,"seed":3}`)
	text := ok[texts](s, "/v1/completions", `{"prompt":[67,97,108,108,257],"max_tokens":20,"seed":3}`)
	if got.Choices[0].Message.Content != text.Choices[0].Text || got.Usage.Prompt != 5 {
		t.Errorf("%+v, want %+v", got, text)
	}
}

// TestTranscript checks that a chat without a template is a transcript, which ends before the user speaks.
func TestTranscript(t *testing.T) {
	s := start(t, nil)
	got := ok[texts](s, "/v1/chat/completions", `{"messages":[{"role":"user","content":"Call"}],"max_tokens":20,"seed":3,"stop":"sea"}`)
	text := ok[texts](s, "/v1/completions", `{"prompt":"User: Call\nAssistant:","max_tokens":20,"seed":3,"stop":["sea","\nUser:"]}`)
	if got.Choices[0].Message.Content != text.Choices[0].Text {
		t.Errorf("%+v, want %+v", got, text)
	}
}

// TestBadTemplate checks that a template which cannot be read is refused when the server starts, and that one which refuses the
// messages is the client's error.
func TestBadTemplate(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"chat_template.jinja: the chat template":    {"chat_template.jinja": "{% for %}"},
		"tokenizer_config.json: byte":               {"tokenizer_config.json": "{"},
		"no template named default":                 {"tokenizer_config.json": `{"chat_template":[]}`},
		"chat_template.jinja has more than 1048576": {"chat_template.jinja": strings.Repeat(" ", 1<<20+1)},
	} {
		dir := copyRun(t, files)
		_, err := serve.New(options(t, func(o *serve.Options) { o.Runs = []string{dir} }))
		var usage *run.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	dir := copyRun(t, map[string]string{"chat_template.jinja": "{{ raise_exception('roles must alternate') }}"})
	s := start(t, func(o *serve.Options) { o.Runs = []string{dir} })
	checkFailure(t, "refused", s.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}]}`), 400, "messages", "", "roles must alternate")
}
