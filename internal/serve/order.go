package serve

import (
	"fmt"
	"math/rand/v2"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/plural"
	"github.com/go-json-experiment/json"
)

// maxTexts is the largest number of texts of a request, as in OpenAI's API.
const maxTexts = 128

// maxStops is the largest number of stop texts of a request, and maxStop the largest length of one, in bytes.
const (
	maxStops = 16
	maxStop  = 1000
)

// MaxDraws is the largest number of draws of a patch that a request may ask for: as many as the exact sampler makes by default.
const MaxDraws = 10_000

// order is what a request asks of texts: completions and chats share it.
type order struct {
	run       *served
	prompts   []input
	n         int // texts after each prompt
	options   calm.Options
	nothing   bool // max_tokens is 0
	echo      bool // the prompt stands in front of the text
	stream    bool
	withUsage bool // at the end of a stream
	withIDs   bool // of the texts' tokens
}

// texts returns how many texts are written.
func (o *order) texts() int { return len(o.prompts) * o.n }

// readOrder reads the fields that completions and chats share. The caller adds the prompts, and calls limit.
func (s *Server) readOrder(f fields) (*order, error) {
	o := &order{n: 1}
	name := ""
	if err := f.text("model", &name); err != nil {
		return nil, err
	}
	var err error
	if o.run, err = s.models.named(name); err != nil {
		return nil, err
	}
	if !o.run.about.Writes() {
		return nil, badField("model", "%s is %s: it cannot write; /v1/embeddings takes it", o.run.name, o.run.about.Kind.Title())
	}
	if !s.options.IgnoreUnsupported {
		if err := f.refuse(o.run.about.Kind); err != nil {
			return nil, err
		}
	}
	for _, read := range []func(fields, *order) error{s.readSampling, readSeed, readStops, readStream} {
		if err := read(f, o); err != nil {
			return nil, err
		}
	}
	if err := f.whole("n", &o.n, 1, maxTexts); err != nil {
		return nil, err
	}
	o.withIDs = o.run.about.Tokenizer == nil
	return o, f.truth("return_token_ids", &o.withIDs)
}

// readSampling reads how patches are drawn. What a request leaves out is as the server's flags say.
func (s *Server) readSampling(f fields, o *order) error {
	t, sampler := s.options.Temperature, ""
	if err := f.number("temperature", &t); err != nil {
		return err
	}
	if t > 1 {
		return badField("temperature", "temperature is %g: want 0 to 1. The model is likelihood-free: a temperature is had by choosing among its samples, and none above 1 can be had so", t)
	}
	if !(t >= 0) {
		return badField("temperature", "temperature is %g: want 0 to 1", t)
	}
	if err := f.text("sampler", &sampler); err != nil {
		return err
	}
	if err := f.whole("draws", &o.options.Draws, 1, MaxDraws); err != nil {
		return err
	}
	if err := f.whole("context", &o.options.Context, 1, 1<<30); err != nil {
		return err
	}
	full := ""
	if err := f.text("context_full", &full); err != nil {
		return err
	}
	o.options.Sampler, o.options.ContextFull = calm.Sampler(sampler), calm.ContextFull(full)
	switch {
	case t == 1 && f.has("draws"):
		return badField("draws", "draws is %d: at temperature 1 a patch takes one draw: leave draws out", o.options.Draws)
	case t == 1 && f.has("sampler"):
		return badField("sampler", "sampler is %q: it is for temperatures below 1: leave it out", sampler)
	case t < 1 && o.run.samples():
		if sampler == "" {
			o.options.Sampler = s.options.Sampler
		}
		if o.options.Draws == 0 && (sampler == "" || o.options.Sampler == s.options.Sampler) {
			o.options.Draws = s.options.Draws
		}
	}
	if o.options.Temperature = t; t == 0 {
		o.options.Temperature = calm.Greedy
	}
	return nil
}

// readSeed reads the seed, or chooses one. A seed that was chosen is exact in programs that have only float64.
func readSeed(f fields, o *order) error {
	given, err := f.seed("seed", &o.options.Seed)
	if err == nil && !given {
		o.options.Seed = rand.Uint64N(1 << 52)
	}
	return err
}

func readStops(f fields, o *order) error {
	v := f.value("stop")
	if v == nil {
		return nil
	}
	stops := []string{""}
	switch v.Kind() {
	case '"':
		if err := f.text("stop", &stops[0]); err != nil {
			return err
		}
	case '[':
		elements, err := list("stop", v)
		if err != nil {
			return err
		}
		stops = make([]string, len(elements))
		for i, e := range elements {
			if e.Kind() != '"' {
				return wrongType(fmt.Sprintf("stop[%d]", i), "text", e)
			}
			if err := json.Unmarshal(e, &stops[i]); err != nil {
				return badField("stop", "stop[%d]: %s", i, syntax(err))
			}
		}
	default:
		return wrongType("stop", "text or a list of texts", v)
	}
	if len(stops) > maxStops {
		return badField("stop", "stop has %d texts: want at most %d", len(stops), maxStops)
	}
	for i, stop := range stops {
		if stop == "" || len(stop) > maxStop {
			return badField("stop", "stop text %d has %d bytes: want 1 to %d", i+1, len(stop), maxStop)
		}
	}
	o.options.StopTexts = stops
	return nil
}

func readStream(f fields, o *order) error {
	if err := f.truth("stream", &o.stream); err != nil {
		return err
	}
	options, err := f.object("stream_options")
	if err != nil {
		return err
	}
	if options != nil && !o.stream {
		return badField("stream_options", "stream_options are for streams: send \"stream\": true with them, or leave them out")
	}
	return options.truth("include_usage", &o.withUsage)
}

// limit reads the number of tokens to write under some names, the first that is given, and bounds the texts of the request.
func (s *Server) limit(f fields, o *order, names ...string) error {
	if n := o.texts(); n > maxTexts {
		return badField("n", "the request asks for %d texts: want at most %d", n, maxTexts)
	}
	each := s.options.MaxTokens / o.texts()
	if each == 0 {
		return badField("n", "the request asks for %d texts: this server writes at most %d tokens for a request", o.texts(), s.options.MaxTokens)
	}
	o.options.MaxTokens = min(o.context(), each)
	for _, name := range names {
		if !f.has(name) {
			continue
		}
		if err := f.whole(name, &o.options.MaxTokens, 0, 1<<53); err != nil {
			return err
		}
		if tokens := o.options.MaxTokens; tokens > each {
			p := badField(name, "%s is %d: this server writes at most %d tokens for a request, and this one asks for %s", name, tokens, s.options.MaxTokens, plural.Count(o.texts(), "text"))
			p.code = "max_tokens_exceeded"
			return p
		}
		break
	}
	o.nothing = o.options.MaxTokens == 0
	return nil
}

// context returns how many tokens the model attends to.
func (o *order) context() int {
	if o.options.Context > 0 {
		return o.options.Context
	}
	return o.run.about.BlockSize
}
