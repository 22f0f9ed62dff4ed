package serve

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/calm-go/calm/tokenizer"
	"github.com/go-json-experiment/json/jsontext"
)

// said is a message of a chat.
type said struct{ role, content string }

// chat is /v1/chat/completions: what the assistant says next, as the run's template or a plain transcript has it.
func (s *Server) chat(ctx context.Context, w http.ResponseWriter, f fields) {
	o, err := s.readChat(f)
	if err != nil {
		s.problemOf(ctx, err).write(w)
		return
	}
	s.answerOrder(ctx, w, o, form{
		id: "chatcmpl-", object: "chat.completion", chunk: "chat.completion.chunk",
		first: func(c *choice, _ *text, _ *order) bool {
			c.Delta = &delta{Role: "assistant", Content: new(string)}
			return true
		},
		piece: func(c *choice, s string) {
			if c.Delta = (&delta{Content: &s}); c.Finish != nil {
				c.Delta = &delta{}
			}
		},
		whole: func(c *choice, t *text, _ *order) {
			c.Message = &message{Role: "assistant", Content: t.text.String()}
		},
	})
}

func (s *Server) readChat(f fields) (*order, error) {
	o, err := s.readOrder(f)
	if err != nil {
		return nil, err
	}
	messages, err := f.messages()
	if err != nil {
		return nil, err
	}
	if o.run.about.Tokenizer == nil {
		return nil, badField("model", "%s was imported without a tokenizer: only /v1/completions takes it, with ids", o.run.name)
	}
	if o.run.template == nil {
		o.prompts = []input{{text: transcript(messages)}}
		if !slices.Contains(o.options.StopTexts, transcriptStop) {
			o.options.StopTexts = append(o.options.StopTexts, transcriptStop)
		}
	} else {
		whole, err := o.run.template.render(messages)
		if err != nil {
			return nil, badField("messages", "the chat template of %s refuses the messages: %v", o.run.name, err)
		}
		o.prompts = []input{{ids: withoutBOS(o.run.about.Tokenizer.TakingLiterals(), whole), byID: true}}
	}
	return o, s.limit(f, o, "max_completion_tokens", "max_tokens")
}

// withoutBOS returns the ids of a text. A BOS at its beginning is left out where generation puts one there.
func withoutBOS(tok *tokenizer.Tokenizer, text string) []int32 {
	ids := tok.Encode(text)
	if tok.AddsBOS() && len(ids) > 0 && ids[0] == tok.BOS() {
		return ids[1:]
	}
	return ids
}

// messages reads the messages of a chat.
func (f fields) messages() ([]said, error) {
	v := f.value("messages")
	if v == nil {
		return nil, badField("messages", "the request has no messages: want a list of {\"role\": ..., \"content\": ...}")
	}
	elements, err := list("messages", v)
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, badField("messages", "messages is an empty list: want one message or more")
	}
	var all []said
	for i, e := range elements {
		name := fmt.Sprintf("messages[%d]", i)
		if e.Kind() != '{' {
			return nil, wrongType(name, "an object", e)
		}
		m, err := fields{name: e}.object(name)
		if err != nil {
			return nil, err
		}
		one, err := m.message(name)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// message reads a message that is called name in errors.
func (f fields) message(name string) (m said, err error) {
	if err := f.text("role", &m.role); err != nil {
		return said{}, err
	}
	switch m.role {
	case "system", "user", "assistant":
	case "developer":
		m.role = "system"
	default:
		return said{}, badField(name, "%s has the role %q: want system, developer, user or assistant", name, m.role)
	}
	if m.content, err = f.content(name + ".content"); err != nil {
		return said{}, err
	}
	return m, nil
}

// content reads the content of a message: text, or a list of parts that are text.
func (f fields) content(name string) (string, error) {
	v := f.value("content")
	switch v.Kind() {
	case '"':
		return input{}.withText(v).text, nil
	case '[':
		return contentOf(name, v)
	case 0:
		return "", badField(name, "%s is missing: want text", name)
	}
	return "", wrongType(name, "text, or a list of parts that are text", v)
}

func contentOf(name string, v jsontext.Value) (string, error) {
	parts, err := list(name, v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, e := range parts {
		name := fmt.Sprintf("%s[%d]", name, i)
		if e.Kind() != '{' {
			return "", wrongType(name, "an object", e)
		}
		part, err := fields{name: e}.object(name)
		if err != nil {
			return "", err
		}
		kind, text := "", ""
		if err := part.text("type", &kind); err != nil {
			return "", err
		}
		if kind != "text" {
			return "", unsupported(name, "%s is of type %q: the model reads text only", name, kind)
		}
		if err := part.text("text", &text); err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// transcriptStop ends what the assistant says in a transcript.
const transcriptStop = "\nUser:"

// transcript writes a chat as plain text, for models that have no template: base models that continue what they read.
func transcript(messages []said) string {
	var b strings.Builder
	for _, m := range messages {
		switch m.role {
		case "system":
			b.WriteString(m.content + "\n\n")
		case "user":
			b.WriteString("User: " + m.content + "\n")
		default:
			b.WriteString("Assistant: " + m.content + "\n")
		}
	}
	return b.String() + "Assistant:"
}
