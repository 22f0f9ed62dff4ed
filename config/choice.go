package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Chooser is a struct of a configuration, one of whose keys chooses which further keys there are. These are the fields
// of another struct, which lies in the one field of interface type that the Chooser has; in JSON and in --set they stand
// beside the others.
//
//	type Head struct {
//		ModelType string  `json:"model_type"`
//		Options   Options // an interface; holds the Keys of the Choice that ModelType names
//	}
//
// Where the key gets another value, keys that the old and the new choice both have, with the same type, keep their
// values; the others start from the defaults of the new one.
type Chooser interface {
	// Choices returns the key that chooses, a string of the Chooser's own, and its values in the order they are listed
	// to users. It is called on a zero value.
	Choices() (key string, values []Choice)
}

// Choice is one value of the key that chooses.
type Choice struct {
	Name    string  // the value of the key
	Keys    any     // a struct: the keys of this choice, with their defaults
	Ignored Ignored // keys that a file may hold though this choice has none of them
}

// chooser is where a configuration holds the keys that are chosen.
type chooser struct {
	key     string
	choices []Choice
	index   []int // of the field of interface type
}

func newChooser(t reflect.Type, index []int) *chooser {
	c := &chooser{index: index}
	c.key, c.choices = reflect.Zero(t).Interface().(Chooser).Choices()
	return c
}

func (c *chooser) find(name string) *Choice {
	if i := slices.IndexFunc(c.choices, func(x Choice) bool { return x.Name == name }); i >= 0 {
		return &c.choices[i]
	}
	return nil
}

// with lists the choices that have a key.
func (c *chooser) with(key string) (names []string) {
	for _, x := range c.choices {
		if _, ok := find(fieldsOf(reflect.TypeOf(x.Keys)).list, key); ok {
			names = append(names, x.Name)
		}
	}
	return names
}

// choose decides which choice the value, the file and the sets come to, and makes its keys part of the value.
func (c *composer[T]) choose(file []member, sets []string) {
	if c.chooser == nil {
		return
	}
	key, _ := find(c.fields, c.chooser.key)
	name := reflect.ValueOf(c.value).FieldByIndex(key.index).String()
	for _, m := range file {
		if m.key == c.chooser.key && m.raw.Kind() == '"' {
			if text, err := jsontext.AppendUnquote(nil, m.raw); err == nil {
				name = string(text)
				c.fileChoice = c.chooser.find(name)
			}
		}
	}
	for _, s := range sets {
		if k, text, ok := strings.Cut(s, "="); ok && strings.TrimSpace(k) == c.chooser.key {
			name = text
		}
	}
	if c.chosen = c.chooser.find(name); c.chosen != nil {
		c.take(c.chosen)
	}
}

// take puts the keys of a choice into the value.
func (c *composer[T]) take(x *Choice) {
	at := reflect.ValueOf(&c.value).Elem().FieldByIndex(c.chooser.index)
	old, keys := at.Elem(), reflect.New(reflect.TypeOf(x.Keys)).Elem()
	keys.Set(reflect.ValueOf(x.Keys))
	for _, f := range fieldsOf(keys.Type()).list {
		if before, ok := find(c.fields, f.key); ok && !before.chosen {
			panic(fmt.Sprintf("config: key %q of %s = %s stands twice in %v", f.key, c.chooser.key, x.Name, reflect.TypeFor[T]()))
		}
		if old.IsValid() {
			if before, ok := find(fieldsOf(old.Type()).list, f.key); ok && before.typ == f.typ {
				keys.FieldByIndex(f.index).Set(old.FieldByIndex(before.index))
			}
		}
	}
	at.Set(keys)
	c.fields = fieldsIn(reflect.ValueOf(c.value))
}

// elsewhere reports whether a key that the configuration does not have is another choice's, and records it as a problem
// if that is certain.
func (c *composer[T]) elsewhere(where, key string) bool {
	if c.chooser == nil {
		return false
	}
	others := c.chooser.with(key)
	if len(others) == 0 {
		return false
	}
	if c.chosen != nil { // else the key that chooses is wrong, and is told
		c.add(Problem{Where: where, Key: key, Want: fmt.Sprintf("there is no such key with %s = %s, only with %s",
			c.chooser.key, c.chosen.Name, strings.Join(others, ", "))})
	}
	return true
}

// tolerated reports whether a file may hold a key of another choice: one that the choice in force lists as ignored, or
// one of the choice that the file itself names where --set names another.
func (c *composer[T]) tolerated(where, key string, raw jsontext.Value) bool {
	if c.chosen == nil {
		return false
	}
	if f := c.fileChoice; f != nil && f != c.chosen {
		_, has := find(fieldsOf(reflect.TypeOf(f.Keys)).list, key)
		if _, ignores := f.Ignored[key]; has || ignores {
			return true
		}
	}
	only, ok := c.chosen.Ignored[key]
	if ok {
		c.ignored(where, key, raw, only)
	}
	return ok
}
