package torch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Operations of protocol 2, which torch.save writes (https://github.com/python/cpython/blob/main/Lib/pickletools.py).
const (
	opMark, opStop, opPop, opPopMark                                 = '(', '.', '0', '1'
	opNone, opNewTrue, opNewFalse                                    = 'N', 0x88, 0x89
	opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinString = 'J', 'K', 'M', 0x8a, 'G', 'X'
	opEmptyTuple, opTuple, opTuple1, opTuple2, opTuple3              = ')', 't', 0x85, 0x86, 0x87
	opEmptyList, opAppend, opAppends                                 = ']', 'a', 'e'
	opEmptyDict, opSetItem, opSetItems                               = '}', 's', 'u'
	opBinGet, opLongBinGet, opBinPut, opLongBinPut                   = 'h', 'j', 'q', 'r'
	opGlobal, opReduce, opBuild, opPersID, opProto                   = 'c', 'R', 'b', 'Q', 0x80
)

// unpickler runs a pickle. Every operation has at least one byte and adds at most one value to the stack. So memory is in
// proportion to the pickle.
type unpickler struct {
	data  []byte
	at    int
	stack []any
	marks []int // indices in stack
	memo  map[uint32]any
}

// unpickle returns the dictionary of tensors that a pickle describes.
func unpickle(data []byte) ([]named, error) {
	u := &unpickler{data: data, memo: map[uint32]any{}}
	for {
		begin := u.at
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == opStop {
			break
		}
		if err := u.do(op); err != nil {
			return nil, fmt.Errorf("byte %d: %w", begin, err)
		}
	}
	if u.at != len(data) {
		return nil, fmt.Errorf("byte %d: there are more bytes after the end of the pickle", u.at)
	}
	if len(u.stack) != 1 {
		return nil, fmt.Errorf("it leaves %d values; want one dictionary of tensors", len(u.stack))
	}
	d, ok := u.stack[0].(*dict)
	if !ok {
		return nil, fmt.Errorf("it is %s; want a dictionary of tensors", describe(u.stack[0]))
	}
	return d.tensors()
}

var errShort = errors.New("the pickle ends too early")

func (u *unpickler) byte() (byte, error) {
	b, err := u.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// take reads n bytes, without copying them.
func (u *unpickler) take(n uint32) ([]byte, error) {
	if uint64(n) > uint64(len(u.data)-u.at) {
		return nil, errShort
	}
	b := u.data[u.at : u.at+int(n)]
	u.at += int(n)
	return b, nil
}

// number reads an unsigned number of n bytes.
func (u *unpickler) number(n uint32) (uint32, error) {
	b, err := u.take(n)
	if err != nil {
		return 0, err
	}
	var wide [4]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint32(wide[:]), nil
}

// line reads up to the end of a line.
func (u *unpickler) line() (string, error) {
	n := bytes.IndexByte(u.data[u.at:], '\n')
	if n < 0 {
		return "", errShort
	}
	s := string(u.data[u.at : u.at+n])
	u.at += n + 1
	return s, nil
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

// pop removes the last n values from the stack and returns them. They must be after the last mark.
func (u *unpickler) pop(n int) ([]any, error) {
	least := 0
	if len(u.marks) > 0 {
		least = u.marks[len(u.marks)-1]
	}
	if len(u.stack)-n < least {
		return nil, errors.New("the stack is too short")
	}
	values := u.stack[len(u.stack)-n:]
	u.stack = u.stack[:len(u.stack)-n]
	return values, nil
}

// popMark removes the values after the last mark from the stack and returns them.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("there is no mark")
	}
	from := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	values := u.stack[from:]
	u.stack = u.stack[:from]
	return values, nil
}

// do runs one operation.
func (u *unpickler) do(op byte) error {
	switch op {
	case opProto:
		version, err := u.byte()
		if err == nil && version != 2 {
			err = fmt.Errorf("it is in protocol %d; want 2, which torch.save writes by default", version)
		}
		return err
	case opMark:
		u.marks = append(u.marks, len(u.stack))
		return nil
	case opPop:
		_, err := u.pop(1)
		return err
	case opPopMark:
		_, err := u.popMark()
		return err
	case opNone:
		return u.push(none{})
	case opNewTrue, opNewFalse:
		return u.push(op == opNewTrue)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinString:
		return u.literal(op)
	case opEmptyTuple, opTuple, opTuple1, opTuple2, opTuple3:
		return u.tuple(op)
	case opEmptyList:
		return u.push(&list{})
	case opEmptyDict:
		return u.push(&dict{})
	case opAppend, opAppends, opSetItem, opSetItems:
		return u.fill(op)
	case opBinGet, opLongBinGet, opBinPut, opLongBinPut:
		return u.remember(op)
	case opGlobal:
		return u.global()
	case opReduce:
		return u.reduce()
	case opBuild: // attributes of an ordered dictionary, such as the version of its format
		return u.build()
	case opPersID:
		return u.persistent()
	}
	return fmt.Errorf("operation %#02x is refused: it is not needed to build tensors", op)
}

func (u *unpickler) literal(op byte) error {
	switch op {
	case opBinInt:
		n, err := u.number(4)
		return errors.Join(err, u.push(int64(int32(n))))
	case opBinInt1:
		n, err := u.number(1)
		return errors.Join(err, u.push(int64(n)))
	case opBinInt2:
		n, err := u.number(2)
		return errors.Join(err, u.push(int64(n)))
	case opLong1:
		return u.long()
	case opBinFloat:
		b, err := u.take(8)
		if err != nil {
			return err
		}
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	n, err := u.number(4)
	if err != nil {
		return err
	}
	b, err := u.take(n)
	return errors.Join(err, u.push(string(b)))
}

// long reads a whole number of up to 8 bytes in two's complement.
func (u *unpickler) long() error {
	n, err := u.number(1)
	if err != nil {
		return err
	}
	b, err := u.take(n)
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("a number of %d bytes is larger than any in a file of tensors", n)
	}
	var wide [8]byte
	if n > 0 && b[n-1]&0x80 != 0 {
		wide = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(wide[:], b)
	return u.push(int64(binary.LittleEndian.Uint64(wide[:])))
}

func (u *unpickler) tuple(op byte) error {
	var values []any
	var err error
	switch op {
	case opEmptyTuple:
	case opTuple:
		values, err = u.popMark()
	default:
		values, err = u.pop(int(op-opTuple1) + 1)
	}
	if err != nil {
		return err
	}
	return u.push(append(tuple{}, values...))
}

// fill adds values to a list or a dictionary.
func (u *unpickler) fill(op byte) error {
	var values []any
	var err error
	switch op {
	case opAppends, opSetItems:
		values, err = u.popMark()
	case opAppend:
		values, err = u.pop(1)
	case opSetItem:
		values, err = u.pop(2)
	}
	if err != nil {
		return err
	}
	into, err := u.pop(1)
	if err != nil {
		return err
	}
	switch to := into[0].(type) {
	case *list:
		if op == opAppend || op == opAppends {
			to.items = append(to.items, values...)
			return u.push(to)
		}
	case *dict:
		if (op == opSetItem || op == opSetItems) && len(values)%2 == 0 {
			for i := 0; i < len(values); i += 2 {
				to.items = append(to.items, item{values[i], values[i+1]})
			}
			return u.push(to)
		}
	}
	return fmt.Errorf("%d values cannot be put into %s", len(values), describe(into[0]))
}

func (u *unpickler) remember(op byte) error {
	size := uint32(1)
	if op == opLongBinGet || op == opLongBinPut {
		size = 4
	}
	n, err := u.number(size)
	if err != nil {
		return err
	}
	if op == opBinPut || op == opLongBinPut {
		top, err := u.pop(1)
		if err != nil {
			return err
		}
		u.memo[n] = top[0]
		return u.push(top[0])
	}
	v, ok := u.memo[n]
	if !ok {
		return fmt.Errorf("it recalls value %d, which it did not keep", n)
	}
	return u.push(v)
}

func (u *unpickler) global() error {
	module, err := u.line()
	if err != nil {
		return err
	}
	name, err := u.line()
	if err != nil {
		return err
	}
	g := global(module + " " + name)
	_, isStorage := storageTypes[g]
	if g != orderedDict && g != rebuildTensor && g != rebuildParameter && !isStorage {
		return fmt.Errorf("it asks for %q: a file of weights can only build tensors, and this is refused", clip(module+"."+name))
	}
	return u.push(g)
}

// reduce does what a call of one of the permitted globals would do.
func (u *unpickler) reduce() error {
	values, err := u.pop(2)
	if err != nil {
		return err
	}
	args, ok := values[1].(tuple)
	if !ok {
		return fmt.Errorf("arguments are %s", describe(values[1]))
	}
	switch f := values[0]; {
	case f == orderedDict && len(args) == 0:
		return u.push(&dict{})
	case f == rebuildTensor && len(args) >= 6:
		t, err := newTensor(args)
		if err != nil {
			return err
		}
		return u.push(t)
	case f == rebuildParameter && len(args) >= 1:
		if t, ok := args[0].(*tensor); ok {
			return u.push(t)
		}
	}
	return fmt.Errorf("%s cannot be called with %d arguments", describe(values[0]), len(args))
}

func (u *unpickler) build() error {
	values, err := u.pop(2)
	if err != nil {
		return err
	}
	if _, ok := values[0].(*dict); !ok {
		return fmt.Errorf("%s cannot be given attributes", describe(values[0]))
	}
	return u.push(values[0])
}

// persistent makes a storage from ("storage", type, key, device, numbers).
func (u *unpickler) persistent() error {
	values, err := u.pop(1)
	if err != nil {
		return err
	}
	id, _ := values[0].(tuple)
	if len(id) != 5 || id[0] != "storage" {
		return fmt.Errorf("it refers to %s outside the pickle; want a storage", describe(values[0]))
	}
	kind, _ := id[1].(global)
	dtype, known := storageTypes[kind]
	key, isString := id[2].(string)
	n, isInt := id[4].(int64)
	if !known || !isString || !isInt || n < 0 {
		return fmt.Errorf("a storage of type %s, key %s and %s numbers", describe(id[1]), describe(id[2]), describe(id[4]))
	}
	return u.push(storage{dtype: dtype, key: key, len: n})
}
