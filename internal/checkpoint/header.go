package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// A safetensors file consists of the header's length (8 bytes, little endian), the header (a JSON object), and the data.
// The header maps a tensor's name to its dtype, its shape and its data_offsets [begin, end) in the data. The tensors fill the
// data without overlaps or gaps. The key "__metadata__" maps strings to strings.
// https://huggingface.co/docs/safetensors/index#format

const (
	metadataKey = "__metadata__"
	// maxHeaderBytes is the format's own limit.
	maxHeaderBytes = 100_000_000
)

// Info describes a tensor in a file.
type Info struct {
	Name  string // the tensor's name
	DType DType  // its number format
	Shape []int  // its dimensions; empty for a scalar

	begin, end int64 // in the data
}

// Len returns the number of elements.
func (t Info) Len() int { return int(t.end-t.begin) / t.DType.Bytes() }

// header is the parsed header of a file.
type header struct {
	raw      []byte
	tensors  []Info // by name
	metadata map[string]string
	dataAt   int64 // byte of the file
}

// parseHeader reads and checks the header of a file. It allocates memory in proportion to the header, which is no larger than
// the file.
func parseHeader(file []byte) (*header, error) {
	if len(file) < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a safetensors file", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > uint64(len(file)-8) || n > maxHeaderBytes {
		return nil, fmt.Errorf("the first 8 bytes ask for a header of %d bytes, the file has %d: not a safetensors file, or truncated", n, len(file))
	}
	h := &header{raw: file[8 : 8+n], dataAt: 8 + int64(n), metadata: map[string]string{}}
	if len(h.raw) == 0 || h.raw[0] != '{' {
		return nil, errors.New("byte 8: the header does not begin with {: not a safetensors file")
	}
	p := headerParser{dec: jsontext.NewDecoder(bytes.NewReader(h.raw)), header: h}
	if err := p.object(p.entry); err != nil {
		return nil, p.at(err)
	}
	if rest := bytes.Trim(h.raw[p.dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("byte %d: more text after the end of the header", 8+p.dec.InputOffset())
	}
	if err := checkLayout(h.tensors, int64(len(file))-h.dataAt); err != nil {
		return nil, err
	}
	slices.SortFunc(h.tensors, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return h, nil
}

// checkLayout checks that the tensors fill the data, each byte once.
func checkLayout(tensors []Info, size int64) error {
	order := slices.Clone(tensors)
	slices.SortFunc(order, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	for _, t := range order {
		if t.end > size {
			return fmt.Errorf("tensor %q ends at byte %d of the data, of which the file has %d: truncated?", t.Name, t.end, size)
		}
	}
	var at int64
	last := ""
	for _, t := range order {
		if t.begin < at {
			return fmt.Errorf("tensor %q starts at byte %d of the data, inside tensor %q that ends at %d", t.Name, t.begin, last, at)
		}
		if t.begin > at {
			return fmt.Errorf("bytes %d to %d of the data, before tensor %q, belong to no tensor", at, t.begin, t.Name)
		}
		at, last = t.end, t.Name
	}
	if at < size {
		return fmt.Errorf("the last %d bytes of the data belong to no tensor", size-at)
	}
	return nil
}

// headerParser parses the header's JSON. The decoder refuses repeated names.
type headerParser struct {
	dec    *jsontext.Decoder
	header *header
}

// at adds the position in the file to an error.
func (p *headerParser) at(err error) error {
	offset := p.dec.InputOffset()
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, err = e.ByteOffset, e.Err
		if name := e.JSONPointer.LastToken(); errors.Is(err, jsontext.ErrDuplicateName) {
			err = fmt.Errorf("the name %q occurs twice", name)
		}
	}
	return fmt.Errorf("byte %d: header: %w", 8+offset, err)
}

// object reads an object. It calls member for each key, with the decoder before the key's value.
func (p *headerParser) object(member func(key string) error) error {
	if k := p.dec.PeekKind(); k != '{' && k != 0 {
		return errors.New("want an object { ... }")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() == '"' {
		token, err := p.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := member(token.String()); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return err
}

func (p *headerParser) entry(key string) error {
	if key == metadataKey {
		return p.object(func(key string) error {
			value, err := p.string()
			p.header.metadata[key] = value
			return err
		})
	}
	t := Info{Name: key, begin: -1}
	err := p.object(func(key string) (err error) {
		switch key {
		case "dtype":
			var name string
			name, err = p.string()
			t.DType = DType(name)
		case "shape":
			t.Shape, err = p.ints()
		case "data_offsets":
			var offsets []int
			if offsets, err = p.ints(); err == nil && len(offsets) != 2 {
				return fmt.Errorf("data_offsets are %d numbers; want 2", len(offsets))
			} else if err == nil {
				t.begin, t.end = int64(offsets[0]), int64(offsets[1])
			}
		default:
			return fmt.Errorf("unknown key %q", key)
		}
		return err
	})
	if err == nil {
		err = t.check()
	}
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); err != nil && !ok {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	} else if err != nil {
		return err
	}
	p.header.tensors = append(p.header.tensors, t)
	return nil
}

// check compares format and shape with the number of bytes.
func (t Info) check() error {
	size := t.DType.Bytes()
	switch {
	case t.DType == "" || t.Shape == nil || t.begin < 0:
		return errors.New("want dtype, shape and data_offsets")
	case size == 0:
		return fmt.Errorf("unknown dtype %q", string(t.DType))
	case t.end < t.begin:
		return fmt.Errorf("its data ends at byte %d, before it begins at %d", t.end, t.begin)
	}
	want := uint64(size)
	for _, n := range t.Shape {
		high, low := bits.Mul64(want, uint64(n))
		if high != 0 || low > 1<<62 {
			return fmt.Errorf("shape %v is too large", t.Shape)
		}
		want = low
	}
	if want != uint64(t.end-t.begin) {
		return fmt.Errorf("shape %v of %s takes %d bytes, data_offsets [%d, %d] hold %d", t.Shape, t.DType, want, t.begin, t.end, t.end-t.begin)
	}
	return nil
}

func (p *headerParser) string() (string, error) {
	if k := p.dec.PeekKind(); k != '"' && k != 0 {
		return "", errors.New("want a string")
	}
	token, err := p.dec.ReadToken()
	if err != nil {
		return "", err
	}
	return token.String(), nil
}

// ints reads a list of whole numbers, 0 or more. An empty list is not nil.
func (p *headerParser) ints() ([]int, error) {
	if k := p.dec.PeekKind(); k != '[' && k != 0 {
		return nil, errors.New("want a list [ ... ]")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	list := []int{}
	for k := p.dec.PeekKind(); k != ']' && k != 0; k = p.dec.PeekKind() {
		raw, err := p.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(string(raw))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%.40s: want a whole number, 0 or more", raw)
		}
		list = append(list, n)
	}
	_, err := p.dec.ReadToken()
	return list, err
}
