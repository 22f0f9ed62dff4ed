package serve

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// fields are the fields of a request's JSON object. Each is read by one of the methods, which check its type. null stands for a
// field that is missing. Fields that nobody reads are ignored.
type fields map[string]jsontext.Value

// bodyTime is the longest time that reading a body may take.
const bodyTime = 30 * time.Second

// readFields reads the body of a request: one JSON object, without repeated names, of limited size.
func readFields(w http.ResponseWriter, r *http.Request, max int64) (fields, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // tests' recorders have none
	var in bytes.Buffer
	_, err := in.ReadFrom(http.MaxBytesReader(w, r.Body, max))
	_ = control.SetReadDeadline(time.Time{})
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &problem{status: http.StatusRequestEntityTooLarge, kind: invalidRequest, code: "body_too_large",
			message: fmt.Sprintf("the body has more than %d bytes, which is the largest that this server takes", large.Limit)}
	}
	if err != nil {
		return nil, badField("", "the body could not be read: %v", err)
	}
	return parseFields(in.Bytes())
}

// parseFields reads a JSON object.
func parseFields(body []byte) (fields, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, badField("", "the body is empty: want a JSON object")
	}
	f := fields{}
	if err := json.Unmarshal(body, &f); err != nil {
		if kind := jsontext.Value(body).Kind(); jsontext.Value(body).IsValid() && kind != '{' {
			return nil, badField("", "the body is %s: want a JSON object", kindName(kind))
		}
		return nil, badField("", "the body is not a JSON object: %s", syntax(err))
	}
	return f, nil
}

// syntax returns what is wrong with JSON, without the names of Go's types.
func syntax(err error) string {
	if wrong, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("byte %d: %v", wrong.ByteOffset, wrong.Err)
	}
	return "it does not begin with {"
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "text"
	case '0':
		return "a number"
	case 't', 'f':
		return "true or false"
	}
	return "null"
}

// value returns a field, or nil if it is missing or null.
func (f fields) value(name string) jsontext.Value {
	if v := f[name]; v.Kind() != 'n' {
		return v
	}
	return nil
}

// has reports whether a field is there, and not null.
func (f fields) has(name string) bool { return f.value(name) != nil }

// wrongType says that a field has another type than it should.
func wrongType(name, want string, v jsontext.Value) error {
	return badField(name, "%s is %s: want %s", name, kindName(v.Kind()), want)
}

// text reads text. Without the field it leaves dst as it is.
func (f fields) text(name string, dst *string) error {
	v := f.value(name)
	if v == nil {
		return nil
	}
	if v.Kind() != '"' {
		return wrongType(name, "text", v)
	}
	return json.Unmarshal(v, dst)
}

// truth reads true or false.
func (f fields) truth(name string, dst *bool) error {
	v := f.value(name)
	if v == nil {
		return nil
	}
	if k := v.Kind(); k != 't' && k != 'f' {
		return wrongType(name, "true or false", v)
	}
	return json.Unmarshal(v, dst)
}

// number reads a number.
func (f fields) number(name string, dst *float64) error {
	v := f.value(name)
	if v == nil {
		return nil
	}
	if v.Kind() != '0' {
		return wrongType(name, "a number", v)
	}
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return badField(name, "%s is too large", name)
	}
	*dst = x
	return nil
}

// whole reads a whole number in a range. 1.0 is a whole number.
func (f fields) whole(name string, dst *int, low, high int) error {
	v := f.value(name)
	if v == nil {
		return nil
	}
	if v.Kind() != '0' {
		return wrongType(name, "a whole number", v)
	}
	x, err := wholeNumber(v)
	if err != nil || x < int64(low) || x > int64(high) {
		return badField(name, "%s is %s: want a whole number from %d to %d", name, short(v), low, high)
	}
	*dst = int(x)
	return nil
}

// wholeNumber reads a whole number, also in the forms 1.0 and 1e3.
func wholeNumber(v jsontext.Value) (int64, error) {
	if x, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return x, nil
	}
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, strconv.ErrSyntax
	}
	return int64(x), nil
}

// seed reads a seed: any whole number of 64 bits, with or without a sign. It reports whether there is one.
func (f fields) seed(name string, dst *uint64) (given bool, err error) {
	v := f.value(name)
	if v == nil {
		return false, nil
	}
	if v.Kind() != '0' {
		return false, wrongType(name, "a whole number", v)
	}
	if x, err := strconv.ParseUint(string(v), 10, 64); err == nil {
		*dst = x
		return true, nil
	}
	x, err := wholeNumber(v)
	if err != nil {
		return false, badField(name, "%s is %s: want a whole number of 64 bits", name, short(v))
	}
	*dst = uint64(x)
	return true, nil
}

// object reads an object. It returns nil without the field.
func (f fields) object(name string) (fields, error) {
	v := f.value(name)
	if v == nil {
		return nil, nil
	}
	if v.Kind() != '{' {
		return nil, wrongType(name, "an object", v)
	}
	sub := fields{}
	return sub, json.Unmarshal(v, &sub)
}

// list returns the elements of a list.
func list(name string, v jsontext.Value) (elements []jsontext.Value, err error) {
	if v.Kind() != '[' {
		return nil, wrongType(name, "a list", v)
	}
	return elements, json.Unmarshal(v, &elements)
}

// input is a text, or ids.
type input struct {
	text string
	ids  []int32
	byID bool
}

// inputs reads a text, a list of texts, ids, or a list of lists of ids.
func (f fields) inputs(name string) ([]input, error) {
	const want = "text, a list of texts, ids, or a list of lists of ids"
	v := f.value(name)
	if v == nil {
		return nil, nil
	}
	if v.Kind() == '"' {
		in := input{}
		return []input{in.withText(v)}, nil
	}
	if v.Kind() != '[' {
		return nil, wrongType(name, want, v)
	}
	elements, err := list(name, v)
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, badField(name, "%s is an empty list: want %s", name, want)
	}
	if elements[0].Kind() == '0' {
		ids, err := idsOf(name, elements)
		return []input{{ids: ids, byID: true}}, err
	}
	var all []input
	for i, e := range elements {
		in, err := inputOf(fmt.Sprintf("%s[%d]", name, i), e)
		if err != nil {
			return nil, err
		}
		if i > 0 && in.byID != all[0].byID {
			return nil, badField(name, "%s has both texts and ids: want one or the other", name)
		}
		all = append(all, in)
	}
	return all, nil
}

// inputOf reads a text, or a list of ids.
func inputOf(name string, v jsontext.Value) (in input, err error) {
	switch v.Kind() {
	case '"':
		return in.withText(v), nil
	case '[':
		elements, err := list(name, v)
		if err != nil {
			return input{}, err
		}
		ids, err := idsOf(name, elements)
		return input{ids: ids, byID: true}, err
	}
	return input{}, wrongType(name, "text or a list of ids", v)
}

// withText returns the input of a JSON text.
func (in input) withText(v jsontext.Value) input {
	_ = json.Unmarshal(v, &in.text) // it was parsed before
	return in
}

func idsOf(name string, elements []jsontext.Value) ([]int32, error) {
	ids := make([]int32, len(elements))
	for i, e := range elements {
		if e.Kind() != '0' {
			return nil, wrongType(fmt.Sprintf("%s[%d]", name, i), "an id", e)
		}
		id, err := wholeNumber(e)
		if err != nil || id < 0 || id > math.MaxInt32 {
			return nil, badField(name, "%s[%d] is %s: want an id, a whole number of 0 or more", name, i, short(e))
		}
		ids[i] = int32(id)
	}
	return ids, nil
}

// short returns the beginning of a value.
func short(v jsontext.Value) string {
	if len(v) > 40 {
		return string(v[:40]) + "..."
	}
	return string(v)
}
