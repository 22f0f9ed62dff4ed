// Package config composes a configuration from three sources: a preset, a JSON file, and `--set key=value`
// assignments. A later source overrides an earlier one. The result is validated once, at the end. All problems are reported
// together, each with its key and its place (file and line, or --set).
//
// A configuration is a struct whose fields carry the JSON keys of the published PyTorch implementation (the reference).
// Embedded structs are flattened: all keys are at one level, as in the reference. A key's type is a bool, an int, a uint, a
// float, a string, a pointer to one of these (null leaves it nil), or a list of numbers or strings. Derived values are
// methods, not fields. The value of one key may decide which other keys exist: see [Chooser].
//
// Reading is stricter than encoding/json. It refuses unknown keys, repeated keys, keys in the wrong case, nulls, invalid
// UTF-8 and trailing bytes. This catches typos, which would otherwise train the wrong model.
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

	"github.com/calm-go/calm/internal/plural"
)

// maxFileBytes is the largest file that Load reads. A configuration is a page of text; a larger file is something else.
const maxFileBytes = 4 << 20

// Validator is a configuration that can check itself.
type Validator interface {
	// Validate returns nil or what is wrong. An *Error, as Problems makes it, tells each problem's key.
	Validate() error
}

// Compose returns the preset with the values of the JSON file at path over it, and the assignments in sets ("key=value", see
// Set) over both. It then calls Validate on the result. An empty path means no file. The file may also contain the keys in
// ignore, which T need not have.
//
// The error is an *Error with all problems of the file, the assignments and the validation, each with the place that the
// value came from. Where the file cannot be read, it is a plain error. On an error Compose returns the preset.
func Compose[T Validator](preset T, path string, sets []string, ignore ...Ignored) (T, error) {
	validate := func(c *T, _ func(string) bool) error { return (*c).Validate() }
	return ComposeWith(preset, path, sets, validate, ignore...)
}

// ComposeWith is Compose with the function finish in place of Validate, for checks that need more than the configuration
// itself. finish may also change defaults that depend on other keys. Its argument given reports whether the file or the
// assignments set a key.
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

// Decode returns the value over, changed by the JSON object in data. Keys that the JSON lacks keep their values. Errors call
// the data by its name, usually a path. The error is an *Error with all problems; on an error Decode returns over.
func Decode[T any](over T, name string, data []byte, ignore ...Ignored) (T, error) {
	c := newComposer(over)
	file := scan(name, data)
	c.choose(file, nil)
	c.lay(file, ignore)
	return c.result(over)
}

// Load is Decode of the file at path. Where the file cannot be read, or has more than 4 MB, the error is a plain error.
func Load[T any](over T, path string, ignore ...Ignored) (T, error) {
	data, err := readFile(path)
	if err != nil {
		return over, err
	}
	return Decode(over, path, data, ignore...)
}

// Peek reads the keys of T from a file and ignores all other keys. It serves to find out which kind of configuration a file
// contains, before all of it is read.
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

// Set returns the value over, changed by assignments "key=value". A value is written as its key's type requires: true, 8,
// 1e-3, text without quotes, null for a pointer, or a list with commas (0.1,0.3; nothing for an empty list). The last
// assignment of a key wins. The error is an *Error with all problems; on an error Set returns over.
func Set[T any](over T, sets []string) (T, error) {
	c := newComposer(over)
	c.choose(nil, sets)
	c.set(sets)
	return c.result(over)
}

// Encode returns a configuration, given as a struct or a pointer to one, as indented JSON. Keys have the order of the
// struct's fields. The keys of a choice (see [Chooser]) take the place of the field that holds them. The same value always
// gives the same bytes. Values that JSON cannot express, such as NaN, are an error.
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

// Keys lists the keys of a configuration, given as a struct or a pointer to one, in the order of the struct's fields.
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

// composer holds a configuration while it is composed.
type composer[T any] struct {
	value    T
	fields   []field
	origin   map[string]string // place (file:line or --set) of each key's value; no entry for a default
	problems []Problem
	lenient  bool // unknown keys are allowed

	chooser    *chooser // nil where T has no Chooser
	chosen     *Choice  // the current choice; nil where the deciding key has an unknown value
	fileChoice *Choice  // the choice that the file names; nil where it names none
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
	keys := reflect.New(at.Elem().Type()).Elem() // a copy: reflect cannot change a value inside an interface
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
	p := Problem{Where: where, Key: plural.Shorten(key), Want: "unknown key"}
	if len(c.problems) > plural.MaxLines {
		c.add(p) // it is not shown, and looking for a near key takes long
		return
	}
	if near := Nearest(key, keysOf(c.fields)); near != "" {
		p.Want += fmt.Sprintf("; did you mean %s?", near)
	}
	c.add(p)
}

// explain adds to each problem of the validation the place that the value came from. It drops the validation's problems with
// keys that could not be read: the validation saw an older value of them.
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

// lines numbers the lines of a file from 1. It reads the file once if the offsets ascend.
type lines struct {
	data   []byte
	offset int64 // counted so far
	line   int   // of the byte at offset, from 0
}

// of returns the number of the line that contains the byte at offset.
func (l *lines) of(offset int64) int {
	offset = min(max(offset, 0), int64(len(l.data)))
	if offset < l.offset {
		l.offset, l.line = 0, 0
	}
	l.line += bytes.Count(l.data[l.offset:offset], []byte("\n"))
	l.offset = offset
	return 1 + l.line
}
