package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/plural"
)

// writtenText is the object that calm generate --json prints for a text. docs/formats.md describes its keys.
type writtenText struct {
	Seed      uint64  `json:"seed"`
	Prompt    *string `json:"prompt,omitempty"`     // nil without --echo
	PromptIDs []int32 `json:"prompt_ids,omitempty"` // with --ids and --echo
	Text      *string `json:"text,omitempty"`       // nil without a tokenizer
	IDs       []int32 `json:"ids"`
	calm.Result
}

// writeTexts writes as many texts after a prompt as -n says. Where the sampler accepts no patch of one, the others are
// written all the same.
func (c *generateCommand) writeTexts(ctx context.Context, m *calm.Model, p prompt, o calm.Options) error {
	failed := 0
	for i := range c.count {
		var g *calm.Generation
		if p.byIDs {
			g = m.GenerateIDs(ctx, p.ids, o)
		} else {
			g = m.Generate(ctx, p.text, o)
		}
		if err := g.Err(); err != nil {
			return err
		}
		if i == 0 {
			c.tellDropped(g.Result())
		}
		if c.count > 1 && !c.asJSON {
			fmt.Fprintf(exactOut(c.Command), "== text %d of %d, seed %d ==\n", i+1, c.count, o.Seed)
		}
		err := c.write(g, m, p, o.Seed)
		if _, budget := errors.AsType[*calm.BudgetError](err); budget && c.count > 1 {
			failed++
			fmt.Fprintf(c.ErrOrStderr(), "calm: text %d: %s\n", i+1, message(err))
		} else if err != nil {
			return err
		}
		o.Seed++
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s ended early", failed, plural.Count(c.count, "text"))
	}
	return nil
}

// tellDropped says on standard error that the beginning of the prompt is not read.
func (c *generateCommand) tellDropped(r calm.Result) {
	if r.PromptDropped > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "calm: note: the prompt has %s, of which the last %d are read: the context has %d\n",
			plural.Count(r.PromptTokens, "token"), r.PromptTokens-r.PromptDropped, r.Context)
	}
}

// write writes one text, with the prompt if it is to be echoed.
func (c *generateCommand) write(g *calm.Generation, m *calm.Model, p prompt, seed uint64) error {
	switch {
	case c.asJSON:
		return c.writeJSON(g, m, p, seed)
	case p.byIDs:
		return c.writeIDs(g, p)
	}
	return c.writeText(g, p)
}

func (c *generateCommand) writeText(g *calm.Generation, p prompt) error {
	w, last := exactOut(c.Command), ""
	put := func(text string) bool {
		if text != "" {
			last = text
		}
		_, err := io.WriteString(w, text)
		return err == nil
	}
	if c.echo {
		put(p.text)
	}
	var err error
	for text, failed := range g.Text() {
		if err = failed; err != nil || !put(text) {
			break
		}
	}
	if !strings.HasSuffix(last, "\n") {
		fmt.Fprintln(w)
	}
	c.sayEnd(g.Result(), err)
	return err
}

// writeIDs writes ids with commas, as --ids takes them.
func (c *generateCommand) writeIDs(g *calm.Generation, p prompt) error {
	w, comma := exactOut(c.Command), ""
	put := func(list []int32) bool {
		for _, id := range list {
			if _, err := fmt.Fprintf(w, "%s%d", comma, id); err != nil {
				return false
			}
			comma = ","
		}
		return true
	}
	if c.echo {
		put(p.ids)
	}
	var err error
	for chunk, failed := range g.Chunks() {
		if err = failed; err != nil || !put(chunk.Tokens) {
			break
		}
	}
	fmt.Fprintln(w)
	c.sayEnd(g.Result(), err)
	return err
}

// writeJSON writes a text as an object when it has ended, also where it ended with an error.
func (c *generateCommand) writeJSON(g *calm.Generation, m *calm.Model, p prompt, seed uint64) error {
	var (
		text strings.Builder
		err  error
	)
	out := writtenText{Seed: seed, IDs: []int32{}}
	if c.echo && p.byIDs {
		out.PromptIDs = p.ids
	} else if c.echo {
		out.Prompt = &p.text
	}
	for chunk, failed := range g.Chunks() {
		if err = failed; err != nil {
			break
		}
		text.WriteString(chunk.Text)
		out.IDs = append(out.IDs, chunk.Tokens...)
	}
	if m.Tokenizer() != nil {
		whole := text.String()
		out.Text = &whole
	}
	out.Result = g.Result()
	encoder := json.NewEncoder(exactOut(c.Command))
	encoder.SetEscapeHTML(false)
	if lost := encoder.Encode(out); err == nil {
		err = lost
	}
	return err
}

// sayEnd says why a text ended, where that does not show.
func (c *generateCommand) sayEnd(r calm.Result, err error) {
	message := r.Message()
	if message == "" || err != nil || c.quiet || message == c.said {
		return
	}
	c.said = message
	if r.Stop == calm.StopMaxTokens && !c.Flags().Changed("max-tokens") {
		message += "; --max-tokens changes that"
	}
	fmt.Fprintf(c.ErrOrStderr(), "calm: %s\n", message)
}
