package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Chooser is a struct in which the value of one key decides which other keys exist. Those other keys are the fields of a
// second struct, held in the Chooser's only field of interface type. JSON and --set list the keys of both structs at the
// same level.
//
//	type Head struct {
//		ModelType string  `json:"model_type"`
//		Options   Options // an interface; holds the Keys of the Choice that ModelType names
//	}
//
// When the deciding key changes, a key that the old and the new choice share, with the same type, keeps its value. The
// other keys start from the defaults of the new choice.
type Chooser interface {
	// Choices returns the deciding key, which is a string field of the Chooser itself, and its possible values in the
	// order in which messages list them. It is called on a zero value.
	Choices() (key string, values []Choice)
}

// Choice is one value of a Chooser's deciding key.
type Choice struct {
	Name    string  // the value of the deciding key
	Keys    any     // a struct: the keys of this choice, with their defaults
	Ignored Ignored // further keys that a file may contain; they are not part of this choice
}

// chooser describes a Chooser inside a configuration type.
type chooser struct {
	key     string   // the deciding key
	choices []Choice // its possible values
	index   []int    // index of the field of interface type, for reflect.Value.FieldByIndex
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

// with lists the names of the choices that have a key.
func (c *chooser) with(key string) (names []string) {
	for _, x := range c.choices {
		if _, ok := find(fieldsOf(reflect.TypeOf(x.Keys)).list, key); ok {
			names = append(names, x.Name)
		}
	}
	return names
}

// choose finds the choice that applies, and puts its keys into the value. An assignment in sets overrides the file, and the
// file overrides the value.
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

// take puts the keys of a choice into the value. It panics where a key of the choice is also a key of the configuration.
func (c *composer[T]) take(x *Choice) {
	at := reflect.ValueOf(&c.value).Elem().FieldByIndex(c.chooser.index)
	old, keys := at.Elem(), reflect.New(reflect.TypeOf(x.Keys)).Elem()
	keys.Set(reflect.ValueOf(x.Keys))
	for _, f := range fieldsOf(keys.Type()).list {
		if before, ok := find(c.fields, f.key); ok && !before.chosen {
			panic(fmt.Sprintf("config: key %q of %s = %s appears twice in %v", f.key, c.chooser.key, x.Name, reflect.TypeFor[T]()))
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

// elsewhere reports whether an unknown key belongs to another choice. It records a problem, unless the choice itself is
// unknown.
func (c *composer[T]) elsewhere(where, key string) bool {
	if c.chooser == nil {
		return false
	}
	others := c.chooser.with(key)
	if len(others) == 0 {
		return false
	}
	if c.chosen != nil { // otherwise validation reports the deciding key
		c.add(Problem{Where: where, Key: key, Want: fmt.Sprintf("no such key with %s = %s, only with %s",
			c.chooser.key, c.chosen.Name, strings.Join(others, ", "))})
	}
	return true
}

// tolerated reports whether a file may contain a key that the current choice does not have. It may if the choice lists the
// key as ignored. It also may if --set overrides the file's choice, and the key belongs to the choice that the file names.
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
