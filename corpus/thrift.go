package corpus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A compact reads Thrift's compact protocol, in which Parquet's headers are written, without memory for what it skips
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
type compact struct {
	in       *bufio.Reader
	elements int // of lists and maps read so far
}

// Types of the protocol.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

const (
	maxThriftDepth    = 32
	maxThriftElements = 500_000 // of all lists of a file's footer; the library takes some hundred bytes for each
)

// fields reads a struct. It calls field with the id and the type of each field; field reads its value, and returns false for
// one that is to be skipped.
func (c *compact) fields(depth int, field func(id int16, kind byte) (bool, error)) error {
	if depth > maxThriftDepth {
		return errors.New("more than 32 levels of structures")
	}
	id := int16(0)
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		kind := b & 15
		if kind == thriftStop {
			return nil
		}
		if delta := int16(b >> 4); delta != 0 {
			id += delta
		} else {
			n, err := c.int()
			if err != nil {
				return err
			}
			id = int16(n)
		}
		read, err := field(id, kind)
		if err == nil && !read {
			err = c.skip(kind, depth)
		}
		if err != nil {
			return err
		}
	}
}

// int reads a number in zigzag encoding.
func (c *compact) int() (int64, error) {
	return binary.ReadVarint(c.in)
}

// skip skips a value of a field.
func (c *compact) skip(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse: // the type is the value
		return nil
	case thriftByte:
		return c.discard(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := c.int()
		return err
	case thriftDouble:
		return c.discard(8)
	case thriftBinary:
		n, err := binary.ReadUvarint(c.in)
		if err != nil {
			return err
		}
		return c.discard(n)
	case thriftList, thriftSet, thriftMap:
		return c.skipElements(kind, depth+1)
	case thriftStruct:
		return c.fields(depth+1, func(int16, byte) (bool, error) { return false, nil })
	}
	return fmt.Errorf("a field of the unknown type %d", kind)
}

func (c *compact) skipElements(kind byte, depth int) error {
	if depth > maxThriftDepth {
		return errors.New("more than 32 levels of lists")
	}
	kinds, n, err := c.elementsOf(kind)
	if err != nil {
		return err
	}
	for range n {
		if c.elements++; c.elements > maxThriftElements {
			return fmt.Errorf("more than %d entries of lists", maxThriftElements)
		}
		for _, k := range kinds {
			if k == thriftTrue || k == thriftFalse { // a byte each
				k = thriftByte
			}
			if err := c.skip(k, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// elementsOf reads the beginning of a list, set or map: the types of an element, and their number.
func (c *compact) elementsOf(kind byte) (kinds []byte, n uint64, err error) {
	if kind == thriftMap {
		if n, err = binary.ReadUvarint(c.in); err != nil || n == 0 {
			return nil, 0, err
		}
		b, err := c.in.ReadByte()
		return []byte{b >> 4, b & 15}, n, err
	}
	b, err := c.in.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	if n = uint64(b >> 4); n == 15 {
		n, err = binary.ReadUvarint(c.in)
	}
	return []byte{b & 15}, n, err
}

func (c *compact) discard(n uint64) error {
	for n > 0 {
		step := int(min(n, 1<<30))
		if _, err := c.in.Discard(step); err != nil {
			return noEnd(err)
		}
		n -= uint64(step)
	}
	return nil
}

// noEnd turns the end of a file into an error.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
