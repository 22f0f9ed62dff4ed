package serve

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/calm-go/calm"
)

// answer is what completions and chats share of an answer, and of a chunk of a stream.
type answer struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	Model       string   `json:"model"`
	Fingerprint string   `json:"system_fingerprint"`
	Choices     []choice `json:"choices"`
	// Usage is left out of chunks, unless the request asks for it: then it is null in all but the last.
	Usage any `json:"usage,omitempty"`
}

// choice is a text in an answer, or a piece of one in a chunk. Of Text, Message and Delta one is set.
type choice struct {
	Index    int      `json:"index"`
	Text     *string  `json:"text,omitempty"`
	Message  *message `json:"message,omitempty"`
	Delta    *delta   `json:"delta,omitempty"`
	Logprobs *string  `json:"logprobs"` // always null
	Finish   *string  `json:"finish_reason"`
	ending
	TokenIDs []int32 `json:"token_ids,omitempty"` // if asked for
}

// ending is what calm adds to a choice whose text has ended.
type ending struct {
	Seed    *uint64   `json:"seed,omitempty"`     // that the same text is had with
	EndedBy calm.Stop `json:"ended_by,omitempty"` // more exact than finish_reason
}

type message struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"` // always null
}

type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

// usage counts tokens, and what calm adds: patches and draws.
type usage struct {
	PromptTokens  int `json:"prompt_tokens"` // of each prompt once
	Completion    int `json:"completion_tokens"`
	Total         int `json:"total_tokens"`
	PromptDropped int `json:"prompt_tokens_dropped,omitempty"` // at the beginning of prompts, since the context has no room
	Patches       int `json:"patches"`
	Draws         int `json:"draws"`
}

func usageOf(texts []*text) usage {
	var u usage
	seen := map[*prompt]bool{}
	for _, t := range texts {
		if !seen[t.prompt] {
			seen[t.prompt] = true
			u.PromptTokens += len(t.prompt.ids)
			u.PromptDropped += t.result.PromptDropped
		}
		u.Completion += t.result.Tokens
		u.Patches += t.result.Patches
		u.Draws += t.result.Draws
	}
	u.Total = u.PromptTokens + u.Completion
	return u
}

// form is how an endpoint shows texts.
type form struct {
	id, object, chunk string // the beginning of ids, and OpenAI's types of objects
	first             func(c *choice, t *text, o *order) bool
	piece             func(c *choice, s string)
	whole             func(c *choice, t *text, o *order)
}

// answerOrder writes the texts of an order and answers with them, as a stream if the order says so.
func (s *Server) answerOrder(ctx context.Context, w http.ResponseWriter, o *order, f form) {
	a := answer{ID: f.id + rand.Text(), Object: f.object, Created: time.Now().Unix(), Model: o.run.name, Fingerprint: o.run.fingerprint.Load().(string)}
	if o.stream {
		a.Object = f.chunk
		s.stream(ctx, w, o, f, a)
		return
	}
	nothing := func(*text) error { return nil }
	texts, err := s.write(ctx, o, reader{nothing, func(*text, calm.Chunk) error { return nil }, nothing})
	if err != nil {
		s.problemOf(ctx, err).write(w)
		return
	}
	for _, t := range texts {
		c := t.ended()
		if o.withIDs {
			c.TokenIDs = t.ids
		}
		f.whole(&c, t, o)
		a.Choices = append(a.Choices, c)
	}
	a.Usage = usageOf(texts)
	writeJSON(w, http.StatusOK, a)
}

// ended returns the choice of a text that has ended, without the text.
func (t *text) ended() choice {
	finish := t.finish()
	return choice{Index: t.index, Finish: &finish, ending: ending{&t.seed, t.result.Stop}}
}

// noUsage is the usage in chunks before the last, where it is asked for.
type noUsage struct{}

// MarshalJSON returns null.
func (noUsage) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// stream writes the texts of an order as events. The pieces of several texts alternate; their index tells them apart.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, o *order, f form, a answer) {
	e := &events{w: w}
	if o.withUsage {
		a.Usage = noUsage{}
	}
	send := func(c choice) error {
		chunk := a
		chunk.Choices = []choice{c}
		return e.send(chunk)
	}
	texts, err := s.write(ctx, o, reader{
		begin: func(t *text) error {
			c := choice{Index: t.index}
			if !f.first(&c, t, o) {
				return nil
			}
			return send(c)
		},
		piece: func(t *text, chunk calm.Chunk) error {
			if chunk.Text == "" && !o.withIDs {
				return nil
			}
			c := choice{Index: t.index}
			if o.withIDs {
				c.TokenIDs = chunk.Tokens
			}
			f.piece(&c, chunk.Text)
			return send(c)
		},
		end: func(t *text) error {
			c := t.ended()
			f.piece(&c, "")
			return send(c)
		},
	})
	if err == nil && o.withUsage {
		a.Choices, a.Usage = []choice{}, usageOf(texts)
		err = e.send(a)
	}
	if err != nil {
		e.fail(s.problemOf(ctx, err))
		return
	}
	_ = e.done() // nobody is left to tell that it failed
}
