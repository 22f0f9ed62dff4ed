// Package config composes a configuration: a preset, over it a JSON file, over that `--set key=value`, and one
// validation at the end. Everything wrong is reported at once, each with its key and where it stands.
//
// A configuration is a struct whose fields carry the reference's JSON keys. Structs embedded in it are flattened, so
// that the name space is flat, as the reference's is. A key's type is a bool, int, uint, float, string, a pointer to
// one of them (null leaves it nil), or a list of numbers or strings. Derived values are methods, not fields. One key may
// choose which further keys there are: see [Chooser].
//
// Reading is stricter than encoding/json: unknown keys, repeated keys, keys in the wrong case, nulls, invalid UTF-8
// and trailing bytes are refused. This catches typos, which would train the wrong model.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxFileBytes bounds what Load reads: a configuration is a page of text, and something longer is another file.
const maxFileBytes = 4 << 20

// Validator is a configuration that can tell what is wrong with it, best as the *Error of a Problems.
type Validator interface {
	Validate() error
}

// Compose lays the file over the preset (an empty path: no file), the sets over that, and validates the result.
// Its error is an *Error that holds everything found at all three; values that failed validation are shown with the
// place they came from. Keys in ignore may stand in the file without being in T: see Ignored.
func Compose[T Validator](preset T, path string, sets []string, ignore ...Ignored) (T, error) {
	validate := func(c *T, _ func(string) bool) error { return (*c).Validate() }
	return ComposeWith(preset, path, sets, validate, ignore...)
}

// ComposeWith is Compose where more than the configuration itself says what is right: finish stands in for Validate. It
// may change defaults that hang on other keys; given tells it which keys the file or the sets gave a value.
func ComposeWith[T any](preset T, path string, sets []string, finish func(c *T, given func(key string) bool) error, ignore ...Ignored) (T, error) {
	c := newComposer(preset)
	var file []member
	if path != "" {
		data, err := readFile(path)
		if err != nil {
			return preset, err
		}
		file = scan(path, data)
	}
	c.choose(file, sets)
	c.lay(file, ignore)
	c.set(sets)
	var all Problems
	all.list = c.problems
	all.Join(finish(&c.value, func(key string) bool { return c.origin[key] != "" }))
	problems := c.explain(all.list)
	if len(problems) > 0 {
		return preset, &Error{Problems: problems}
	}
	return c.value, nil
}

// Decode reads JSON over a value: keys that are absent keep what over has. The name says in errors where the data
// came from, usually a path. On an error, an *Error with all problems, it returns over.
func Decode[T any](over T, name string, data []byte, ignore ...Ignored) (T, error) {
	c := newComposer(over)
	file := scan(name, data)
	c.choose(file, nil)
	c.lay(file, ignore)
	return c.result(over)
}

// Load is Decode of a file.
func Load[T any](over T, path string, ignore ...Ignored) (T, error) {
	data, err := readFile(path)
	if err != nil {
		return over, err
	}
	return Decode(over, path, data, ignore...)
}

// Peek reads only the keys that T has and leaves all others alone: for telling what kind of configuration a file
// holds before it is read in full.
func Peek[T any](path string) (T, error) {
	var zero T
	data, err := readFile(path)
	if err != nil {
		return zero, err
	}
	c := newComposer(zero)
	c.lenient = true
	file := scan(path, data)
	c.choose(file, nil)
	c.lay(file, nil)
	return c.result(zero)
}

// Set lays assignments "key=value" over a value. Values are written as the field's type asks for: true, 8, 1e-3, text
// without quotes, or a list with commas (0.1,0.3; empty for an empty list). Of several for one key the last counts.
// On an error, an *Error with all problems, it returns over.
func Set[T any](over T, sets []string) (T, error) {
	c := newComposer(over)
	c.choose(nil, sets)
	c.set(sets)
	return c.result(over)
}

// Encode writes a configuration, or what points to one, as indented JSON: keys in the order of the struct, those that are
// chosen (see [Chooser]) in the place of the field that holds them, the same bytes for the same value.
func Encode(v any) ([]byte, error) {
	value := reflect.Indirect(reflect.ValueOf(v))
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, jsontext.WithIndent("  "))
	err := enc.WriteToken(jsontext.BeginObject)
	for _, f := range fieldsIn(value) {
		err = errors.Join(err, enc.WriteToken(jsontext.String(f.key)), json.MarshalEncode(enc, f.in(value).Interface()))
		if err != nil {
			return nil, fmt.Errorf("write the configuration as JSON: %s: %w", f.key, err)
		}
	}
	if err = errors.Join(err, enc.WriteToken(jsontext.EndObject)); err != nil {
		return nil, fmt.Errorf("write the configuration as JSON: %w", err)
	}
	return out.Bytes(), nil
}

// Keys lists the keys of a configuration in the order of its struct.
func Keys(v any) []string { return keysOf(fieldsIn(reflect.Indirect(reflect.ValueOf(v)))) }

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("read the configuration %s: it is larger than %d MB; is it another file?", path, maxFileBytes>>20)
	}
	return data, nil
}

// composer holds a configuration while it is put together.
type composer[T any] struct {
	value    T
	fields   []field
	origin   map[string]string // where a key's value came from
	problems []Problem
	lenient  bool // unknown keys are no problem

	chooser    *chooser // nil where no key chooses others
	chosen     *Choice  // nil where the key that chooses has none of its values
	fileChoice *Choice  // what the file alone would choose; nil where it does not
}

func newComposer[T any](over T) *composer[T] {
	return &composer[T]{value: over, fields: fieldsIn(reflect.ValueOf(over)), chooser: fieldsOf(reflect.TypeFor[T]()).chooser, origin: map[string]string{}}
}

func (c *composer[T]) result(over T) (T, error) {
	if len(c.problems) > 0 {
		return over, &Error{Problems: c.problems}
	}
	return c.value, nil
}

// put stores a value of the field's type.
func (c *composer[T]) put(f field, v reflect.Value, where string) {
	c.origin[f.key] = where
	root := reflect.ValueOf(&c.value).Elem()
	if !f.chosen {
		root.FieldByIndex(f.index).Set(v)
		return
	}
	at := root.FieldByIndex(c.chooser.index)
	keys := reflect.New(at.Elem().Type()).Elem() // what is in an interface cannot be changed
	keys.Set(at.Elem())
	keys.FieldByIndex(f.index).Set(v)
	at.Set(keys)
}

func (c *composer[T]) add(p Problem) { c.problems = append(c.problems, p) }

// unknown records a key that the configuration does not have.
func (c *composer[T]) unknown(where, key string) {
	if c.elsewhere(where, key) {
		return
	}
	p := Problem{Where: where, Key: shorten(key), Want: "unknown key"}
	if near := Nearest(key, keysOf(c.fields)); near != "" {
		p.Want += fmt.Sprintf("; did you mean %s?", near)
	}
	c.add(p)
}

// explain tells where bad values came from, and leaves out what validation says of keys that could not be read:
// it saw an older value.
func (c *composer[T]) explain(problems []Problem) []Problem {
	read := len(c.problems)
	out := slices.Clone(problems[:read])
	for _, p := range problems[read:] {
		same := func(q Problem) bool { return q.Key == p.Key && p.Key != "" }
		if slices.ContainsFunc(problems[:read], same) {
			continue
		}
		if p.Where == "" {
			p.Where = c.origin[p.Key]
		}
		out = append(out, p)
	}
	return out
}

// lineOf is the number, from 1, of the line that holds the byte at offset.
func lineOf(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}

// shorten keeps what a file says from filling the screen.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
