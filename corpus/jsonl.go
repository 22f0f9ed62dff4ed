package corpus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLine bounds a line of JSON in bytes, so that a file that is something else
// (or a compressed bomb) ends in an error and not in the machine's memory.
const maxLine = 1 << 30

// readLines gives the field text of every line of r. Lines of white space are
// passed over.
func readLines(ctx context.Context, r io.Reader, path string, each func(Document) error) error {
	in := bufio.NewReaderSize(r, 1<<18)
	if mark, _ := in.Peek(3); string(mark) == "\xef\xbb\xbf" {
		in.Discard(3) // a byte order mark is no part of the first line
	}
	var line []byte
	for number := 1; ; number++ {
		var err error
		line, err = appendLine(line[:0], in)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			text, err := textField(line)
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

// appendLine appends a line without its end to dst. io.EOF comes with the last.
func appendLine(dst []byte, in *bufio.Reader) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(dst)+len(part) > maxLine {
			return dst, fmt.Errorf("the line is longer than %d bytes: not JSON lines?", maxLine)
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

// textField returns the string under the key "text" of a JSON object: exactly
// this key, where encoding/json would take "TEXT" too, and the last of several.
// null counts as no text. Bytes that are no UTF-8 become U+FFFD, as JSON has it.
func textField(line []byte) ([]byte, error) {
	if !json.Valid(line) {
		var any json.RawMessage
		err := json.Unmarshal(line, &any)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("column %d: not JSON: %w; expected one object a line", syntax.Offset, err)
		}
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	s := scanner{line: line}
	if s.peek() != '{' {
		return nil, fmt.Errorf(`a JSON %s; expected an object with a field "text"`, kindName(s.peek()))
	}
	var value []byte
	found := false
	for s.at++; s.peek() != '}'; {
		key := s.value()
		s.peek()
		s.at++ // the colon
		v := s.value()
		if isText(key) {
			value, found = v, true
		}
		if s.peek() == ',' {
			s.at++
		}
	}
	switch {
	case !found:
		return nil, errors.New(`the object has no field "text"`)
	case string(value) == "null":
		return nil, nil
	case value[0] != '"':
		return nil, fmt.Errorf(`the field "text" is a %s; expected a string`, kindName(value[0]))
	}
	return unquote(value)
}

// unquote returns the content of a string of valid JSON. encoding/json, which is
// several times slower, is asked only about bytes that are no UTF-8.
func unquote(quoted []byte) ([]byte, error) {
	if !utf8.Valid(quoted) {
		var s string
		err := json.Unmarshal(quoted, &s)
		return []byte(s), err
	}
	rest := quoted[1 : len(quoted)-1]
	text := make([]byte, 0, len(rest))
	for {
		at := bytes.IndexByte(rest, '\\')
		if at < 0 {
			return append(text, rest...), nil
		}
		text = append(text, rest[:at]...)
		if c := escapes[rest[at+1]]; c != 0 {
			text = append(text, c)
			rest = rest[at+2:]
			continue
		}
		r := hexRune(rest[at:])
		rest = rest[at+6:]
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if bytes.HasPrefix(rest, []byte(`\u`)) {
				low = hexRune(rest)
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				rest = rest[6:]
			}
		}
		text = utf8.AppendRune(text, r)
	}
}

// hexRune returns the number of an escape \uXXXX.
func hexRune(escape []byte) (r rune) {
	for _, c := range escape[2:6] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}

// escapes are the characters behind a backslash, but for \u.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// isText tells whether a quoted key says text, escapes included.
func isText(key []byte) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == `"text"`
	}
	var s string
	return json.Unmarshal(key, &s) == nil && s == "text"
}

// A scanner walks over JSON known to be valid.
type scanner struct {
	line []byte
	at   int
}

// peek passes white space and returns the byte behind it.
func (s *scanner) peek() byte {
	for {
		switch c := s.line[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// value returns the next value as it stands in the line.
func (s *scanner) value() []byte {
	c := s.peek()
	from := s.at
	switch c {
	case '"':
		s.string()
	case '{', '[':
		s.nested()
	default: // a number, true, false or null
		for s.at < len(s.line) && bytes.IndexByte([]byte(",}] \t\r\n"), s.line[s.at]) < 0 {
			s.at++
		}
	}
	return s.line[from:s.at]
}

func (s *scanner) string() {
	for s.at++; s.line[s.at] != '"'; s.at++ {
		if s.line[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

func (s *scanner) nested() {
	for depth := 0; ; {
		switch s.line[s.at] {
		case '"':
			s.string()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// kindName names the kind of value that begins with c.
func kindName(c byte) string {
	switch c {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}
