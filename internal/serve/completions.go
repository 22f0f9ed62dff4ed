package serve

import (
	"context"
	"net/http"
)

// completions is /v1/completions: what follows a prompt.
func (s *Server) completions(ctx context.Context, w http.ResponseWriter, f fields) {
	o, err := s.readCompletion(f)
	if err != nil {
		s.problemOf(ctx, err).write(w)
		return
	}
	s.answerOrder(ctx, w, o, form{
		id: "cmpl-", object: "text_completion", chunk: "text_completion",
		first: func(c *choice, t *text, o *order) bool {
			c.Text = &t.prompt.text
			return o.echo && t.prompt.text != ""
		},
		piece: func(c *choice, s string) { c.Text = &s },
		whole: func(c *choice, t *text, o *order) {
			all := t.text.String()
			if o.echo {
				all = t.prompt.text + all
			}
			c.Text = &all
		},
	})
}

func (s *Server) readCompletion(f fields) (*order, error) {
	o, err := s.readOrder(f)
	if err != nil {
		return nil, err
	}
	if o.prompts, err = f.inputs("prompt"); err != nil {
		return nil, err
	}
	if len(o.prompts) == 0 {
		o.prompts = []input{{}} // a text from its beginning
	}
	if err := f.truth("echo", &o.echo); err != nil {
		return nil, err
	}
	return o, s.limit(f, o, "max_tokens")
}
