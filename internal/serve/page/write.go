package page

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/tokenizer"
)

// Limits of requests. The page shows them in its fields.
var limits = struct {
	Prompt int `json:"prompt"` // bytes of a prompt
	Tokens int `json:"tokens"` // to write
	Draws  int `json:"draws"`  // a patch
	Text   int `json:"text"`   // bytes to pack
}{Prompt: 32_000, Tokens: 4096, Draws: 10_000, Text: 4000}

// writeRequest asks for one text.
type writeRequest struct {
	Model       string       `json:"model"` // "" for the first
	Prompt      string       `json:"prompt"`
	Temperature *float64     `json:"temperature"` // 0 to 1; absent for 1
	Sampler     calm.Sampler `json:"sampler"`     // "" for the default
	Draws       int          `json:"draws"`       // 0 for the sampler's default
	Seed        uint64       `json:"seed"`
	MaxTokens   int          `json:"max_tokens"` // 1 to limits.Tokens
}

// options returns the request as options. The errors are those that the model does not report itself.
func (q writeRequest) options() (o calm.Options, err error) {
	o = calm.Options{Sampler: q.Sampler, Draws: q.Draws, Seed: q.Seed, MaxTokens: q.MaxTokens, Temperature: 1}
	switch {
	case len(q.Prompt) > limits.Prompt:
		return o, refuse(http.StatusBadRequest, "the prompt has %d bytes: want at most %d", len(q.Prompt), limits.Prompt)
	case q.MaxTokens < 1 || q.MaxTokens > limits.Tokens:
		return o, refuse(http.StatusBadRequest, "max_tokens is %d: want 1 to %d", q.MaxTokens, limits.Tokens)
	case q.Draws < 0 || q.Draws > limits.Draws:
		return o, refuse(http.StatusBadRequest, "draws is %d: want 1 to %d, or 0 for the sampler's default", q.Draws, limits.Draws)
	case q.Temperature == nil:
		return o, nil
	case *q.Temperature < 0 || *q.Temperature > 1:
		return o, refuse(http.StatusBadRequest, "temperature is %g: want 0 to 1, because samples alone do not tell how to go above", *q.Temperature)
	}
	if o.Temperature = *q.Temperature; o.Temperature == 0 {
		o.Temperature = calm.Greedy
	}
	return o, nil
}

// writeLine is a line of the answer: a patch, the end, or an error that ends the text.
type writeLine struct {
	Patch *patch `json:"patch,omitzero"`
	End   *end   `json:"end,omitzero"`
	Error string `json:"error,omitzero"`
}

// patch is a piece of the text: the tokens of one patch.
type patch struct {
	Tokens []token   `json:"tokens"`
	Text   string    `json:"text"`            // complete characters
	Draws  int       `json:"draws"`           // that the sampler looked at
	Millis float64   `json:"ms"`              // since the patch before, reading of the prompt included
	Shares []float64 `json:"shares,omitzero"` // part of the pool that agreed with each token; absent where there is no pool
}

// token is a token for people.
type token struct {
	ID   int32  `json:"id"`
	Name string `json:"name"` // its bytes, made visible
	// Text is what the token adds to the text: the characters that it completes. It is absent where text is packed.
	Text string `json:"text,omitzero"`
}

// end says how the text went.
type end struct {
	calm.Result
	Message string `json:"message"` // why it ended, for people; ""
}

// writeTimeout is how long a client may leave a line unread.
const writeTimeout = 30 * time.Second

// write is the endpoint that writes a text. The answer is lines of JSON, each sent as soon as it is certain. A client that
// goes away ends the text.
func (p page) write(w http.ResponseWriter, r *http.Request) error {
	q, err := decode[writeRequest](w, r)
	if err != nil {
		return err
	}
	o, err := q.options()
	if err != nil {
		return err
	}
	m, release, err := p.acquire(r.Context(), q.Model)
	if err != nil {
		return err
	}
	defer release()
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	g := m.Generate(ctx, q.Prompt, o)
	if err := g.Err(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := stream{w, http.NewResponseController(w)}
	if out.flush() == nil { // the page knows that the text has begun before its first patch is there
		writeText(g, namer{m.Tokenizer()}, m.Tokenizer().Encode(q.Prompt), out.line)
	}
	return nil
}

// writeText sends the patches of a text after a prompt, and its end.
func writeText(g *calm.Generation, names namer, prompt []int32, send func(writeLine) error) {
	stream := names.tok.NewStream()
	stream.Skip(prompt...)
	before := calm.Result{}
	for chunk, err := range g.Chunks() {
		if err != nil {
			send(writeLine{Error: err.Error()}) // nothing follows
			return
		}
		now := g.Result()
		next := patch{Text: chunk.Text, Shares: chunk.Shares, Draws: now.Draws - before.Draws, Millis: 1000 * (now.Seconds - before.Seconds), Tokens: names.written(stream, chunk)}
		before = now
		if send(writeLine{Patch: &next}) != nil {
			return
		}
	}
	result := g.Result()
	send(writeLine{End: &end{result, result.Message()}}) // nothing follows
}

// stream sends lines to a client that may be slow.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s stream) line(line writeLine) error {
	data, err := json.Marshal(line, jsontext.AllowInvalidUTF8(true)) // the model may write any bytes: U+FFFD stands for them
	if err != nil {
		return err
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(append(data, '\n')); err != nil {
		return err
	}
	return s.flush()
}

func (s stream) flush() error {
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// namer makes tokens readable.
type namer struct{ tok *tokenizer.Tokenizer }

// written returns the tokens of a chunk with the part of its text that each of them completes.
func (n namer) written(s *tokenizer.Stream, chunk calm.Chunk) []token {
	list := []token{}
	seen := 0
	for _, id := range chunk.Tokens {
		text := string(s.Append(nil, id))
		seen += len(text)
		list = append(list, token{id, n.name(id), text})
	}
	if len(list) > 0 && seen < len(chunk.Text) { // the end of the text: incomplete characters too
		list[len(list)-1].Text += chunk.Text[seen:]
	}
	return list
}
