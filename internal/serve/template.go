package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ardanlabs/jinja"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/run"
)

// Files of a tokenizer, as transformers writes them, that have the template of chats.
const (
	templateFile  = "chat_template.jinja"
	templatesIn   = "tokenizer_config.json" // in its chat_template, beside the literals of special tokens
	maxTemplate   = 1 << 20                 // bytes
	templateNamed = "default"               // of several templates
)

// template turns the messages of a chat into text.
type template struct {
	compiled *jinja.Template
	bos, eos string // literals of special tokens
}

// readTemplate reads the chat template of the run in a directory. It returns nil where the run has none.
func readTemplate(dir string, about *run.Model) (*template, error) {
	if about.Tokenizer == nil || !about.Writes() {
		return nil, nil
	}
	path := filepath.Join(dir, templateFile)
	source, err := readSmall(path)
	config, cerr := readTokenizerConfig(filepath.Join(dir, templatesIn))
	if err = errors.Join(err, cerr); err != nil {
		return nil, &run.UsageError{Err: err}
	}
	if source == nil {
		path = filepath.Join(dir, templatesIn)
		if source, err = config.template(); err != nil {
			return nil, &run.UsageError{Err: fmt.Errorf("%s: %w", path, err)}
		}
	}
	if source == nil {
		return nil, nil
	}
	t := &template{bos: config.literal(config.BOS), eos: config.literal(config.EOS)}
	for literal, id := range map[*string]int32{&t.bos: about.Tokenizer.BOS(), &t.eos: about.Tokenizer.EOS()} {
		if *literal == "" && id >= 0 {
			*literal = string(about.Tokenizer.Token(id))
		}
	}
	if t.compiled, err = jinja.Compile(string(source)); err != nil {
		return nil, &run.UsageError{Err: fmt.Errorf("%s: the chat template: %w", path, err)}
	}
	return t, nil
}

// readSmall reads a file. It returns nil if there is none.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxTemplate {
		err = fmt.Errorf("%s has more than %d bytes", path, maxTemplate)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// tokenizerConfig is what calm reads of tokenizer_config.json.
type tokenizerConfig struct {
	Template jsontext.Value `json:"chat_template"`
	BOS      jsontext.Value `json:"bos_token"`
	EOS      jsontext.Value `json:"eos_token"`
}

func readTokenizerConfig(path string) (c tokenizerConfig, err error) {
	data, err := readSmall(path)
	if err != nil || data == nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %s", path, syntax(err))
	}
	return c, nil
}

// template returns the template: text, or the one called default in a list of templates.
func (c tokenizerConfig) template() ([]byte, error) {
	switch c.Template.Kind() {
	case '"':
		var text string
		err := json.Unmarshal(c.Template, &text)
		return []byte(text), err
	case '[':
		var several []struct {
			Name     string `json:"name"`
			Template string `json:"template"`
		}
		if err := json.Unmarshal(c.Template, &several); err != nil {
			return nil, fmt.Errorf("chat_template: %s", syntax(err))
		}
		for _, one := range several {
			if one.Name == templateNamed {
				return []byte(one.Template), nil
			}
		}
		return nil, errors.New("chat_template: there is no template named " + templateNamed)
	}
	return nil, nil
}

// literal returns the text of a special token, which stands there as text or as an object with the field content.
func (c tokenizerConfig) literal(v jsontext.Value) (text string) {
	var object struct {
		Content string `json:"content"`
	}
	switch v.Kind() {
	case '"':
		_ = json.Unmarshal(v, &text) // it was parsed before
	case '{':
		_ = json.Unmarshal(v, &object)
		text = object.Content
	}
	return text
}

// render returns the text that the model continues.
func (t *template) render(messages []said) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	list := make([]any, len(messages))
	for i, m := range messages {
		list[i] = map[string]any{"role": m.role, "content": m.content}
	}
	return t.compiled.Render(map[string]any{"messages": list, "add_generation_prompt": true, "bos_token": t.bos, "eos_token": t.eos})
}
