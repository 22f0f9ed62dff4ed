package corpus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxLine is the largest length of a line of JSON in bytes. A longer one is an error before it is in memory.
const maxLine = 128 << 20

// readLines calls each with the field of every line of r. It skips lines of white space.
func readLines(ctx context.Context, r io.Reader, path string, f field, each func(Document) error) error {
	in := bufio.NewReaderSize(r, 1<<18)
	begin, err := in.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:1: %w", path, err)
	}
	if err := notUTF16(begin, path); err != nil {
		return err
	}
	skipMark(in)
	object := newObjectReader(f)
	var line []byte
	for number := 1; ; number++ {
		var err error
		line, err = appendLine(line[:0], in)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			text, err := object.text(line)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", path, number, err)
			}
			if err := each(Document{Text: text, Source: path, Line: number}); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// appendLine appends a line to dst, without its line break. With the last line it returns io.EOF.
func appendLine(dst []byte, in *bufio.Reader) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(dst)+len(part) > maxLine {
			return dst, fmt.Errorf("the line has more than %d MiB: write a text of that length to a .txt file, which may have any size", maxLine>>20)
		}
		if len(dst)+len(part) > cap(dst) { // append would grow it more often, and need more memory in all
			dst = slices.Grow(dst, max(len(part), cap(dst)))
		}
		dst = append(dst, part...)
		if err == nil {
			return dst[:len(dst)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return dst, err
		}
	}
}

// An objectReader reads a field of JSON objects. Names must match exactly. Of several members with the same name, the last
// counts. Invalid UTF-8 and unpaired surrogates become U+FFFD.
type objectReader struct {
	field field
	path  []string // of field
	dec   jsontext.Decoder
	in    bytes.Buffer
	name  []byte // of a member, unquoted

	found bool   // whether the object has the field, as far as it is read
	value []byte // the field's text; nil for null
	wrong error  // what is wrong with the field
}

func newObjectReader(f field) *objectReader { return &objectReader{field: f, path: f.path()} }

// text returns the field of the object in a line, or nil if the field, or an object around it, is null.
func (o *objectReader) text(line []byte) ([]byte, error) {
	o.reset(line)
	if kind := o.dec.PeekKind(); kind != jsontext.KindBeginObject {
		if _, err := o.dec.ReadValue(); err != nil {
			return nil, notJSON(err)
		}
		return nil, fmt.Errorf("%s; expected an object with a field %q", kindName(kind), o.field)
	}
	if err := o.members(o.path); err != nil {
		return nil, notJSON(err)
	}
	if rest := bytes.TrimLeft(line[o.dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("column %d: not JSON: text after the object; expected one object per line", len(line)-len(rest)+1)
	}
	switch {
	case o.wrong != nil:
		return nil, o.wrong
	case !o.found:
		return nil, fmt.Errorf("the object has no field %q; it has %s%s", o.field, listed(o.names(line)), chooseField)
	}
	return o.value, nil
}

func (o *objectReader) reset(line []byte) {
	o.in = *bytes.NewBuffer(line)
	o.dec.Reset(&o.in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	o.found, o.value, o.wrong = false, nil, nil
}

// members reads an object to its end and looks up path in it.
func (o *objectReader) members(path []string) error {
	if _, err := o.dec.ReadToken(); err != nil { // {
		return err
	}
	for o.dec.PeekKind() != jsontext.KindEndObject {
		name, err := o.dec.ReadValue()
		if err != nil {
			return err
		}
		if o.is(name, path[0]) {
			err = o.member(path)
		} else {
			err = o.dec.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := o.dec.ReadToken() // }
	return err
}

// member reads the value under the first name of the path.
func (o *objectReader) member(path []string) error {
	o.found, o.value, o.wrong = true, nil, nil
	kind := o.dec.PeekKind()
	if kind == jsontext.KindBeginObject && len(path) > 1 {
		o.found = false
		return o.members(path[1:])
	}
	v, err := o.dec.ReadValue()
	switch {
	case err != nil:
		return err
	case kind == jsontext.KindNull:
	case kind == jsontext.KindString && len(path) == 1:
		o.value, _ = jsontext.AppendUnquote(make([]byte, 0, len(v)), v) // its error concerns invalid UTF-8, which it replaces
	case len(path) > 1:
		o.wrong = fmt.Errorf("the field %q is %s; expected an object with a field %q", path[0], kindName(kind), strings.Join(path[1:], "."))
	default:
		o.wrong = fmt.Errorf("the field %q is %s; expected a string", o.field, kindName(kind))
	}
	return nil
}

// is reports whether a quoted name equals want.
func (o *objectReader) is(quoted []byte, want string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == want
	}
	o.name, _ = jsontext.AppendUnquote(o.name[:0], quoted)
	return string(o.name) == want
}

// names lists the members of a valid object and of objects in it, in the form of --field: at most maxListed+1.
func (o *objectReader) names(line []byte) (names []string) {
	o.reset(line)
	for len(names) <= maxListed {
		var err error
		kind := o.dec.PeekKind()
		in, length := o.dec.StackIndex(o.dec.StackDepth())
		if in == jsontext.KindBeginObject && length%2 == 1 && kind != jsontext.KindBeginObject { // the value of a member
			name := strings.Join(slices.Collect(o.dec.StackPointer().Tokens()), ".")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			err = o.dec.SkipValue()
		} else {
			_, err = o.dec.ReadToken()
		}
		if err != nil { // the end
			break
		}
	}
	return names
}

// notJSON returns the error for a line that is not JSON, with the column where it stops being JSON.
func notJSON(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		reason := syntax.Err
		if errors.Is(reason, io.ErrUnexpectedEOF) {
			reason = errors.New("the line ends within a value")
		}
		return fmt.Errorf("column %d: not JSON: %w; expected one object per line", syntax.ByteOffset+1, reason)
	}
	return fmt.Errorf("not JSON: %w", err)
}

// kindName names a kind of value, with an article.
func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	case jsontext.KindNull:
		return "null"
	}
	return "a number"
}
