package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/calm-go/calm/internal/plural"
)

// fromSet is the place of values given on the command line, for Problem.Where.
const fromSet = "--set"

// set puts "key=value" assignments into the value. The last assignment of a key wins.
func (c *composer[T]) set(sets []string) {
	for _, s := range sets {
		key, text, ok := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			c.add(Problem{Where: fromSet, Want: fmt.Sprintf("%q: want key=value", plural.Shorten(s))})
			continue
		}
		f, ok := find(c.fields, key)
		if !ok {
			c.unknown(fromSet, key)
			continue
		}
		v := reflect.New(f.typ).Elem()
		if err := parse(v, text); err != nil {
			want := wanted(f.typ, strings.TrimSpace(text))
			if f.typ.Kind() == reflect.Slice {
				want += ", with commas between them"
			}
			value := plural.Shorten(text)
			if value == "" {
				value = `""`
			}
			c.add(Problem{Where: fromSet, Key: key, Value: value, Want: want})
			continue
		}
		c.put(f, v, fromSet)
	}
}

// parse stores text in v, parsed as v's type. It panics for types that typeName does not know.
func parse(v reflect.Value, text string) error {
	if v.Kind() == reflect.String {
		v.SetString(text)
		return nil
	}
	text = strings.TrimSpace(text)
	switch v.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			return strconv.ErrSyntax
		}
		v.SetBool(text == "true")
		return nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	case reflect.Float32, reflect.Float64:
		if strings.ContainsAny(text, "xX_") {
			return strconv.ErrSyntax // hexadecimal, and digits with underscores between them
		}
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("not a finite number") // JSON could not hold it
		}
		v.SetFloat(x)
		return err
	case reflect.Pointer:
		if text == "null" {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return parse(v.Elem(), text)
	case reflect.Slice:
		return parseList(v, text)
	}
	panic(fmt.Sprintf("config: no values of type %v", v.Type()))
}

func parseList(v reflect.Value, text string) error {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		text = strings.TrimSuffix(inner, "]") // brackets, as in JSON, are allowed
	}
	if strings.TrimSpace(text) == "" {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return nil
	}
	parts := strings.Split(text, ",")
	list := reflect.MakeSlice(v.Type(), len(parts), len(parts))
	for i, part := range parts {
		if err := parse(list.Index(i), strings.TrimSpace(part)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}
