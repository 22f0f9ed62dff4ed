package serve

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/run"
)

// A refusal is a field of OpenAI's API, or of servers like it, that such a model cannot have. Its neutral values, and null, are
// accepted, since clients send them.
type refusal struct {
	field   string
	neutral func(jsontext.Value) bool
	why     string
}

const noLikelihoods = "the model is likelihood-free: it draws samples, and has no probabilities of tokens"

// refusals lists the fields of texts and chats. docs/serving.md has the same table.
func refusals() []refusal {
	return []refusal{
		{"top_p", numbers(1), noLikelihoods + ", so there is no nucleus; use temperature"},
		{"top_k", numbers(0, -1), noLikelihoods + " to rank; use temperature"},
		{"min_p", numbers(0), noLikelihoods + "; use temperature"},
		{"typical_p", numbers(1), noLikelihoods + "; use temperature"},
		{"frequency_penalty", numbers(0), noLikelihoods + " to lower"},
		{"presence_penalty", numbers(0), noLikelihoods + " to lower"},
		{"repetition_penalty", numbers(1), noLikelihoods + " to lower"},
		{"logit_bias", empty, noLikelihoods + ", so no logits to add to"},
		{"logprobs", isFalse, noLikelihoods},
		{"top_logprobs", numbers(0), noLikelihoods},
		{"best_of", numbers(1), noLikelihoods + " to choose the best text by; use n"},
		{"suffix", empty, "the model writes what follows a text, and cannot fill a gap"},
		{"tools", empty, "a base model calls no tools"},
		{"tool_choice", words("none", "auto"), "a base model calls no tools"},
		{"functions", empty, "a base model calls no functions"},
		{"function_call", words("none", "auto"), "a base model calls no functions"},
		{"response_format", typeText, "the model's text cannot be held to a format"},
		{"modalities", onlyText, "the model writes text only"},
		{"audio", empty, "the model writes text only"},
		{"prediction", empty, "the model takes no predicted text"},
		{"web_search_options", empty, "the model searches nothing"},
	}
}

// refuse returns an error for the first field that a model of the kind cannot have and that is not neutral. The token-level
// baseline has likelihoods; it is there to be compared with, and is served as the other models are.
func (f fields) refuse(kind run.Kind) error {
	for _, r := range refusals() {
		v := f.value(r.field)
		if v == nil || r.neutral(v) {
			continue
		}
		why := r.why
		if kind == run.AR {
			why = "calm serves the token-level baseline as it serves language models, which have no likelihoods"
		}
		return unsupported(r.field, "%s %s cannot be had: %s (calm serve --ignore-unsupported ignores such fields)", r.field, short(v), why)
	}
	return nil
}

// numbers returns whether a value is one of some numbers.
func numbers(of ...float64) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool {
		x, err := strconv.ParseFloat(string(v), 64)
		for _, n := range of {
			if err == nil && x == n {
				return true
			}
		}
		return false
	}
}

// words returns whether a value is one of some texts.
func words(of ...string) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool {
		var s string
		for _, w := range of {
			if v.Kind() == '"' && json.Unmarshal(v, &s) == nil && s == w {
				return true
			}
		}
		return false
	}
}

// empty reports whether a value is an empty text, list or object.
func empty(v jsontext.Value) bool {
	c := v.Clone()
	return c.Compact() == nil && (string(c) == `""` || string(c) == "[]" || string(c) == "{}")
}

func isFalse(v jsontext.Value) bool { return v.Kind() == 'f' }

// typeText reports whether a value is {"type": "text"}.
func typeText(v jsontext.Value) bool {
	var o struct {
		Type string `json:"type"`
	}
	return v.Kind() == '{' && json.Unmarshal(v, &o) == nil && o.Type == "text"
}

// onlyText reports whether a value is ["text"].
func onlyText(v jsontext.Value) bool {
	var l []string
	return json.Unmarshal(v, &l) == nil && fmt.Sprint(l) == "[text]"
}
