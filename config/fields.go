package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// field is one key of a configuration: a field of the struct or of a struct embedded in it. A chosen key is a field of the
// struct that a Chooser holds.
type field struct {
	key    string
	index  []int // for reflect.Value.FieldByIndex; of a chosen key, relative to the struct that the Chooser holds
	typ    reflect.Type
	chosen bool
	holder []int // of a chosen key: index of the Chooser's field of interface type
}

// in returns the field's value in a configuration.
func (f field) in(v reflect.Value) reflect.Value {
	if f.chosen {
		v = v.FieldByIndex(f.holder).Elem()
	}
	return v.FieldByIndex(f.index)
}

// fields are the keys of a struct type in the order of declaration, with those of embedded structs in their place.
type fields struct {
	list    []field  // without the chosen keys
	chooser *chooser // nil where there is none
	at      int      // index in list at which the chosen keys are inserted
}

var chooserType = reflect.TypeFor[Chooser]()

// fieldsOf lists the keys of a struct type. It panics for types that this package cannot handle (see the package comment):
// that is a mistake in the program, not in its input.
func fieldsOf(t reflect.Type) (all fields) {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: %v is not a struct", t))
	}
	seen := map[string]bool{}
	var walk func(t reflect.Type, index []int)
	walk = func(t reflect.Type, index []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			at := append(slices.Clone(index), i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "-":
			case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
				walk(f.Type, at)
			case !f.IsExported() && name == "":
			case !f.IsExported():
				panic(fmt.Sprintf("config: %v.%s has a key but is not exported", t, f.Name))
			case f.Type.Kind() == reflect.Interface && t.Implements(chooserType) && all.chooser == nil:
				all.chooser, all.at = newChooser(t, at), len(all.list)
			case name == "":
				panic(fmt.Sprintf(`config: %v.%s has no key: give it a tag json:"..."`, t, f.Name))
			case seen[name]:
				panic(fmt.Sprintf("config: key %q appears twice in %v and what it embeds", name, t))
			case typeName(f.Type) == "":
				panic(fmt.Sprintf("config: %v.%s has type %v, which a key cannot have", t, f.Name, f.Type))
			default:
				seen[name] = true
				all.list = append(all.list, field{key: name, index: at, typ: f.Type})
			}
		}
	}
	walk(t, nil)
	return all
}

// fieldsIn lists the keys of a value, including the chosen ones.
func fieldsIn(v reflect.Value) []field {
	all := fieldsOf(v.Type())
	if all.chooser == nil || v.FieldByIndex(all.chooser.index).IsNil() {
		return all.list
	}
	chosen := fieldsOf(v.FieldByIndex(all.chooser.index).Elem().Type()).list
	for i := range chosen {
		chosen[i].chosen, chosen[i].holder = true, all.chooser.index
	}
	return slices.Insert(all.list, all.at, chosen...)
}

// typeName describes the values of a type in words. It returns "" for types that no key may have.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "a whole number, 0 or more"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Pointer:
		if name := typeName(t.Elem()); name != "" && t.Elem().Kind() != reflect.Pointer {
			return name + " or null"
		}
	case reflect.Slice:
		switch typeName(t.Elem()) {
		case "a whole number", "a whole number, 0 or more":
			return "a list of whole numbers"
		case "a number":
			return "a list of numbers"
		case "a string":
			return "a list of strings"
		}
	}
	return ""
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

func find(fields []field, key string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}
