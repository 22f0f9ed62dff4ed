package generate

import (
	"cmp"
	"context"
	"io"
	"iter"
	"time"
)

// Chunk is a piece of text as it comes: the tokens of a patch, or of the part that counts, and the text that is certain
// by now. A character that is not complete is held back until its other bytes come; so the text of a chunk may lag
// behind its tokens, and a last chunk may have text only. With Options.StopTexts both are held back where they may be the
// beginning of a stop text. A token that is partly in a stop text is held back.
type Chunk struct {
	Tokens []int32 // the caller's to keep
	Text   string  // "" without a tokenizer
	// Shares says how sure the model was of each token: the share of the pool's draws that have it, among those with the tokens
	// before it in its patch. It is nil where a patch takes one draw, with the exact sampler, and for the baseline.
	Shares []float64
}

// join returns a chunk with what follows it.
func (c Chunk) join(next Chunk) Chunk {
	return Chunk{append(c.Tokens, next.Tokens...), c.Text + next.Text, append(c.Shares, next.Shares...)}
}

// empty reports whether there is nothing in the chunk to hand out.
func (c Chunk) empty() bool { return len(c.Tokens) == 0 && c.Text == "" }

// Text is one text as it is being written. See Generator.Text. It is for one goroutine.
type Text struct {
	stream  *stream
	held    *held
	started time.Time
	err     error // that ended the text, still to be returned
	result  Result
}

// Text begins a text after a prompt of ids, without BOS. It computes nothing yet. It returns the error of Check. A text that is
// not read to its end must be left: by Leave, by the end of a loop over Chunks, or by a context that ends during Next.
func (g *Generator) Text(prompt []int32, o Options) (*Text, error) {
	if err := g.Check(prompt, o); err != nil {
		return nil, err
	}
	dropped := g.Dropped(len(prompt), o)
	return &Text{stream: g.newStream(prompt[dropped:], o), held: newHeld(g.tok, o.StopTexts, prompt), started: time.Now(),
		result: Result{PromptTokens: len(prompt), PromptDropped: dropped, Context: g.patches(o) * g.shape.PatchSize}}, nil
}

// Result says how the text went, or goes.
func (t *Text) Result() Result { return t.result }

// Chunks writes the text to its end. An error is the last round of the loop; what came before it stands. Leaving the loop
// ends the text. A text that has ended has no further chunks.
func (t *Text) Chunks(ctx context.Context) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for {
			chunk, err := t.Next(ctx)
			if err == io.EOF {
				return
			}
			if !yield(chunk, err) {
				t.Leave()
				return
			}
		}
	}
}

// Leave ends a text that is not to go on: Result says that it was interrupted, if it had not ended by itself.
func (t *Text) Leave() {
	if t.result.Stop == "" {
		t.result.Stop = StopInterrupted
		t.stream.leave()
	}
}

// Next waits for the next chunk. After the last one the error is io.EOF. Any other error ends the text; what it had written
// stands.
func (t *Text) Next(ctx context.Context) (Chunk, error) {
	for {
		if err := t.err; err != nil {
			t.err = nil
			return Chunk{}, err
		}
		if t.result.Stop != "" {
			return Chunk{}, io.EOF
		}
		chunk, err := t.take(ctx)
		t.result.Seconds = time.Since(t.started).Seconds()
		if err != nil {
			t.err, t.result.Stop = err, StopError
			if ctx.Err() != nil {
				t.result.Stop = StopInterrupted
			}
		}
		if t.result.Stop != "" {
			t.stream.leave()
		}
		if !chunk.empty() {
			return chunk, nil
		}
	}
}

// take takes the next patch. With an error it returns what was held back.
func (t *Text) take(ctx context.Context) (Chunk, error) {
	r := &t.result
	w, err := t.stream.take(ctx)
	r.Draws += w.draws
	r.Slides += w.slides
	if err = cmp.Or(err, w.err); err != nil {
		chunk := t.held.flush()
		r.Tokens += len(chunk.Tokens)
		return chunk, err
	}
	r.Patches++
	r.Stop = w.stop
	chunk, stopped := t.held.add(w.Chunk)
	if stopped {
		r.Stop = StopText
	} else if r.Stop != "" {
		chunk = chunk.join(t.held.flush())
	}
	r.Tokens += len(chunk.Tokens)
	return chunk, nil
}
