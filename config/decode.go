package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/internal/plural"
)

// Ignored lists keys that a file may contain although the configuration does not have them. It maps each key to the only
// JSON value that the key may have, or to "" where any value is allowed. A key that the configuration has is read as usual.
type Ignored map[string]string

// Reference returns the keys in the reference's config.json files that calm does not need. Some are written by the
// transformers library about itself. The others turn on features that these models do not have; they may only say "off".
func Reference() Ignored {
	return Ignored{
		"_name_or_path":        "",          // where it was loaded from
		"architectures":        "",          // class names; Peek reads them to find out the kind of model
		"attention_bias":       "false",     // biases of the four projections
		"attention_dropout":    "0",         //
		"auto_map":             "",          // files with code, on the hub
		"hidden_act":           `"silu"`,    //
		"initializer_range":    "",          // of no use once the weights are trained
		"mlp_bias":             "false",     //
		"model_type":           "",          //
		"pretraining_tp":       "1",         // tensor parallelism in Llama's pretraining
		"rope_scaling":         "null",      // for contexts longer than those of the training
		"tie_word_embeddings":  "false",     // of the language model; the autoencoder's embedding is always tied
		"torch_dtype":          "",          // the file of the weights has the number format of each tensor
		"dtype":                "",          // name of torch_dtype since transformers 4.56
		"transformers_version": "",          //
		"use_cache":            "",          // a default of generate
		"use_return_dict":      "",          //
		"return_dict":          "",          //
		"output_attentions":    "",          //
		"output_hidden_states": "",          //
		"rope_type":            `"default"`, //
	}
}

// member is one key of a file with its value, or a problem.
type member struct {
	where, key string
	raw        jsontext.Value
	problem    *Problem
}

// scan splits the JSON object in data into its members.
func scan(name string, data []byte) (all []member) {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	at := lines{data: data}
	where := func(offset int64) string { return fmt.Sprintf("%s:%d", name, at.of(offset)) }
	add := func(p Problem) { all = append(all, member{problem: &p}) }
	broken := func(err error) []member {
		add(Problem{Where: where(offsetOf(err, dec)), Want: syntax(err, data)})
		return all
	}
	if len(bytes.TrimSpace(data)) == 0 {
		add(Problem{Where: name, Want: "is empty; want a JSON object { ... }"})
		return all
	}
	if k := dec.PeekKind(); k != '{' && k != 0 {
		add(Problem{Where: where(0), Want: "want a JSON object { ... }"})
		return all
	}
	if _, err := dec.ReadToken(); err != nil {
		return broken(err)
	}
	first := map[string]string{} // place of each key's first occurrence
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return broken(err)
		}
		key, place := token.String(), where(dec.InputOffset())
		raw, err := dec.ReadValue()
		if err != nil {
			return broken(err)
		}
		if before, ok := first[key]; ok {
			add(Problem{Where: place, Key: plural.Shorten(key), Want: "appears twice, first at " + before})
			continue
		}
		first[key] = place
		all = append(all, member{where: place, key: key, raw: raw.Clone()})
	}
	if _, err := dec.ReadToken(); err != nil { // the closing brace
		return broken(err)
	}
	if _, err := dec.ReadToken(); err == nil {
		add(Problem{Where: where(dec.InputOffset()), Want: "more text after the end of the JSON object"})
	} else if !errors.Is(err, io.EOF) {
		add(Problem{Where: where(offsetOf(err, dec)), Want: "more text after the end of the JSON object"})
	}
	return all
}

// lay puts the values of a file's members into the configuration.
func (c *composer[T]) lay(file []member, ignore []Ignored) {
	for _, m := range file {
		if m.problem != nil {
			c.add(*m.problem)
		} else {
			c.member(m.where, m.key, m.raw, ignore)
		}
	}
}

// member takes one key and its value.
func (c *composer[T]) member(where, key string, raw jsontext.Value, ignore []Ignored) {
	f, ok := find(c.fields, key)
	if !ok {
		if c.lenient {
			return
		}
		for _, set := range ignore {
			if only, ok := set[key]; ok {
				c.ignored(where, key, raw, only)
				return
			}
		}
		if !c.tolerated(where, key, raw) {
			c.unknown(where, key)
		}
		return
	}
	v := reflect.New(f.typ) // a new value: a list must not share memory with the preset's
	err := json.Unmarshal(raw, v.Interface())
	if err != nil || raw.Kind() == 'n' && f.typ.Kind() != reflect.Pointer {
		c.add(Problem{Where: where, Key: key, Value: plural.Shorten(string(raw)), Want: wanted(f.typ, string(raw))})
		return
	}
	c.put(f, v.Elem(), where)
}

// ignored checks the value of an ignored key.
func (c *composer[T]) ignored(where, key string, raw jsontext.Value, only string) {
	if only == "" {
		return
	}
	want := jsontext.Value(only)
	got := raw.Clone()
	if want.Canonicalize() == nil && got.Canonicalize() == nil && bytes.Equal(want, got) {
		return
	}
	c.add(Problem{Where: where, Key: key, Value: plural.Shorten(string(raw)),
		Want: "want " + only + ", the only value supported"})
}

// wanted describes what to write in place of raw, which could not be read as a t.
func wanted(t reflect.Type, raw string) string {
	want := "want " + typeName(t)
	if t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
		if _, err := strconv.ParseFloat(raw, t.Bits()); errors.Is(err, strconv.ErrRange) {
			return fmt.Sprintf("%s that fits %d bits", want, t.Bits())
		}
		return want
	}
	digits := strings.TrimLeft(raw, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return want
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("%s that fits %d bits", want, t.Bits())
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		if raw == digits {
			return fmt.Sprintf("%s, that fits %d bits", want, t.Bits())
		}
	}
	return want
}

func offsetOf(err error, dec *jsontext.Decoder) int64 {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return e.ByteOffset
	}
	return dec.InputOffset()
}

// syntax returns the JSON library's message without its position, and clearer messages for the commonest mistakes.
func syntax(err error, data []byte) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "bad JSON: the file ends too early"
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok && e.Err != nil {
		rest, comma := bytes.CutPrefix(data[min(max(e.ByteOffset, 0), int64(len(data))):], []byte(","))
		if rest = bytes.TrimSpace(rest); comma && len(rest) > 0 && (rest[0] == '}' || rest[0] == ']') {
			return fmt.Sprintf("bad JSON: a comma before the closing %c", rest[0])
		}
		return "bad JSON: " + e.Err.Error()
	}
	return "bad JSON: " + err.Error()
}
