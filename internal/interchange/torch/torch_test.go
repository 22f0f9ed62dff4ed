package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/memtest"
)

// pickler writes the operations that torch.save writes.
type pickler struct{ bytes.Buffer }

func (p *pickler) str(s string) {
	p.WriteByte(opBinString)
	binary.Write(p, binary.LittleEndian, uint32(len(s)))
	p.WriteString(s)
}

func (p *pickler) int(n int) {
	p.WriteByte(opBinInt)
	binary.Write(p, binary.LittleEndian, int32(n))
}

func (p *pickler) global(module, name string) { fmt.Fprintf(p, "%c%s\n%s\n", opGlobal, module, name) }

func (p *pickler) ints(list ...int) {
	p.WriteByte(opMark)
	for _, n := range list {
		p.int(n)
	}
	p.WriteByte(opTuple)
}

// tensor puts a tensor on the stack.
func (p *pickler) tensor(kind, key string, numbers, offset int, shape, strides []int) {
	p.global("torch._utils", "_rebuild_tensor_v2")
	p.WriteByte(opMark)
	p.WriteByte(opMark)
	p.str("storage")
	p.global("torch", kind)
	p.str(key)
	p.str("cpu")
	p.int(numbers)
	p.WriteByte(opTuple)
	p.WriteByte(opPersID)
	p.int(offset)
	p.ints(shape...)
	p.ints(strides...)
	p.WriteByte(opNewFalse)
	p.global("collections", "OrderedDict")
	p.WriteByte(opEmptyTuple)
	p.WriteByte(opReduce)
	p.WriteByte(opTuple)
	p.WriteByte(opReduce)
}

// dictionary returns the pickle of a dictionary. fill adds its keys and values.
func dictionary(fill func(p *pickler)) []byte {
	var p pickler
	p.WriteByte(opProto)
	p.WriteByte(2)
	p.WriteByte(opEmptyDict)
	p.WriteByte(opMark)
	fill(&p)
	p.WriteByte(opSetItems)
	p.WriteByte(opStop)
	return p.Bytes()
}

// archive returns a zip file. entries are names and contents in turn.
func archive(t testing.TB, method uint16, entries ...any) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: entries[i].(string), Method: method})
		if err != nil {
			t.Fatal(err)
		}
		switch data := entries[i+1].(type) {
		case []byte:
			w.Write(data)
		case string:
			w.Write([]byte(data))
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func parse(data []byte) (*File, error) {
	return Parse("x.bin", bytes.NewReader(data), int64(len(data)))
}

func floats(n int) []byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i)))
	}
	return b
}

func read(t *testing.T, x Tensor) (out []float32) {
	t.Helper()
	err := x.As(checkpoint.F32).Each(func(p []byte) error {
		for ; len(p) > 0; p = p[4:] {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(p)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestViews reads tensors that are whole storages, parts of them, transposed, and shared. All numbers must be in order.
func TestViews(t *testing.T) {
	pickle := dictionary(func(p *pickler) {
		p.str("whole")
		p.tensor("FloatStorage", "0", 6, 0, []int{2, 3}, []int{3, 1})
		p.str("again")
		p.tensor("FloatStorage", "0", 6, 0, []int{2, 3}, []int{3, 1})
		p.str("transposed")
		p.tensor("FloatStorage", "0", 6, 0, []int{3, 2}, []int{1, 3})
		p.str("part")
		p.tensor("FloatStorage", "0", 6, 2, []int{3}, []int{1})
		p.str("column")
		p.tensor("FloatStorage", "0", 6, 1, []int{2}, []int{3})
		p.str("scalar")
		p.tensor("FloatStorage", "0", 6, 5, nil, nil)
		p.str("none")
		p.tensor("FloatStorage", "0", 6, 0, []int{0, 7}, []int{1, 1})
		p.str("same")
		p.tensor("FloatStorage", "0", 6, 4, []int{3, 1}, []int{0, 0})
		p.str("halves")
		p.tensor("BFloat16Storage", "1", 2, 0, []int{2}, []int{1})
		p.str("large")
		p.global("torch._utils", "_rebuild_parameter")
		p.WriteByte(opMark)
		p.tensor("FloatStorage", "2", 700001, 0, []int{700001}, []int{1})
		p.WriteByte(opNewTrue)
		p.WriteByte(opTuple)
		p.WriteByte(opReduce)
	})
	f, err := parse(archive(t, zip.Store, "m/data.pkl", pickle, "m/byteorder", "little",
		"m/data/0", floats(6), "m/data/1", []byte{0x80, 0x3f, 0, 0xc0}, "m/data/2", floats(700001)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{"whole": {0, 1, 2, 3, 4, 5}, "again": {0, 1, 2, 3, 4, 5}, "transposed": {0, 3, 1, 4, 2, 5},
		"part": {2, 3, 4}, "column": {1, 4}, "scalar": {5}, "none": nil, "same": {4, 4, 4}, "halves": {1, -2}}
	storages := map[string]string{}
	for _, x := range f.Tensors() {
		storages[x.Name] = x.Storage
		got := read(t, x)
		if x.Name == "large" {
			if len(got) != 700001 || got[700000] != 700000 {
				t.Errorf("large: %d numbers", len(got))
			}
			continue
		}
		if !slices.Equal(got, want[x.Name]) {
			t.Errorf("%s %v is %v; want %v", x.Name, x.Shape, got, want[x.Name])
		}
		delete(want, x.Name)
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
	if storages["whole"] != storages["again"] || storages["whole"] == storages["transposed"] || storages["whole"] == storages["part"] {
		t.Errorf("storages: %v", storages)
	}
}

// TestOrderedDict reads the dictionary of a module's state_dict, with attributes, long memos and all kinds of numbers.
func TestOrderedDict(t *testing.T) {
	var p pickler
	p.Write([]byte{opProto, 2})
	p.global("collections", "OrderedDict")
	p.Write([]byte{opEmptyTuple, opReduce, opLongBinPut, 1, 2, 0, 0, opMark})
	p.str("a")
	p.tensor("FloatStorage", "0", 6, 0, []int{6}, []int{1})
	p.Write([]byte{opSetItems})
	p.Write([]byte{opEmptyDict})
	p.str("_metadata")
	p.Write([]byte{opEmptyList, opMark, opBinInt1, 7, opBinInt2, 1, 2, opLong1, 1, 0xff, opLong1, 0, opNone, opNewTrue})
	p.Write(append([]byte{opBinFloat}, make([]byte, 8)...))
	p.Write([]byte{opAppends, opBinInt1, 3, opAppend, opSetItem, opBuild, opLongBinGet, 1, 2, 0, 0, opPop, opStop})
	f, err := parse(archive(t, zip.Store, "m/data.pkl", p.Bytes(), "m/data/0", floats(6)))
	if err != nil || len(f.Tensors()) != 1 {
		t.Fatal(err)
	}
	if got := read(t, f.Tensors()[0]); !slices.Equal(got, []float32{0, 1, 2, 3, 4, 5}) {
		t.Error(got)
	}
}

// TestRefused: anything that is not a description of tensors is an error that says what is wrong and where.
func TestRefused(t *testing.T) {
	one := func(kind string, numbers, offset int, shape, strides []int) []byte {
		return dictionary(func(p *pickler) { p.str("a"); p.tensor(kind, "0", numbers, offset, shape, strides) })
	}
	call := func(module, name string) []byte {
		return dictionary(func(p *pickler) {
			p.str("a")
			p.global(module, name)
			p.str("touch /tmp/x")
			p.WriteByte(opTuple1)
			p.WriteByte(opReduce)
		})
	}
	good := one("FloatStorage", 6, 0, []int{6}, []int{1})
	file := func(pickle []byte) []byte { return archive(t, zip.Store, "m/data.pkl", pickle, "m/data/0", floats(6)) }
	cases := []struct {
		name, want string
		data       []byte
	}{
		{"a call", `it asks for "posix.system"`, file(call("posix", "system"))},
		{"another call", `it asks for "builtins.eval"`, file(call("builtins", "eval"))},
		{"a storage called", "cannot be called", file(call("torch", "FloatStorage"))},
		{"an old file", "no zip archive", []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")},
		{"truncated", "truncated?", file(good)[:len(file(good))-9]},
		{"no pickle", "no data.pkl", archive(t, zip.Store, "m/data/0", floats(6))},
		{"a long pickle", "more than any description of tensors", archive(t, zip.Store, "m/data.pkl", make([]byte, maxPickleBytes+1))},
		{"two pickles", "two data.pkl", archive(t, zip.Store, "m/data.pkl", good, "n/data.pkl", good)},
		{"compressed", "compressed or encrypted", archive(t, zip.Deflate, "m/data.pkl", good, "m/data/0", floats(6))},
		{"big endian", `its byte order is "big"`, archive(t, zip.Store, "m/data.pkl", good, "m/byteorder", "big", "m/data/0", floats(6))},
		{"a storage twice", "occurs twice", archive(t, zip.Store, "m/data.pkl", good, "m/data/0", floats(6), "m/data/0", floats(6))},
		{"no storage", `no storage "0"`, archive(t, zip.Store, "m/data.pkl", good)},
		{"a short storage", "has 20 bytes; want 6 numbers", archive(t, zip.Store, "m/data.pkl", good, "m/data/0", floats(5))},
		{"beyond the storage", "leaves its storage", file(one("FloatStorage", 6, 1, []int{6}, []int{1}))},
		{"strides beyond", "leaves its storage", file(one("FloatStorage", 6, 0, []int{2, 3}, []int{4, 1}))},
		{"endless", "more numbers than its storage", file(one("FloatStorage", 6, 0, []int{1 << 30, 1 << 30, 1 << 30}, []int{0, 0, 0}))},
		{"shape without strides", "does not fit strides", file(one("FloatStorage", 6, 0, []int{2, 3}, []int{1}))},
		{"negative", "a tensor of storage", file(one("FloatStorage", 6, 0, []int{-6}, []int{1}))},
		{"another format", "operation 0x95", file([]byte{opProto, 2, 0x95, 0, 0})},
		{"protocol 4", "protocol 4", file([]byte{opProto, 4, opStop})},
		{"no end", "ends too early", file(good[:len(good)-1])},
		{"more", "more bytes after the end", file(append(slices.Clone(good), opStop))},
		{"no dictionary", "want a dictionary of tensors", file([]byte{opProto, 2, opNone, opStop})},
		{"nothing", "leaves 0 values", file([]byte{opProto, 2, opStop})},
		{"no tensor", `"a" is 7, not a tensor`, file(dictionary(func(p *pickler) { p.str("a"); p.int(7) }))},
		{"a number as name", "the name of a tensor is 7", file(dictionary(func(p *pickler) { p.int(7); p.int(7) }))},
		{"a name twice", `"a" occurs twice`, file(dictionary(func(p *pickler) {
			for range 2 {
				p.str("a")
				p.tensor("FloatStorage", "0", 6, 0, []int{6}, []int{1})
			}
		}))},
		{"a long string", "ends too early", file([]byte{opProto, 2, opBinString, 255, 255, 255, 255, 'a'})},
		{"no memo", "recalls value 3", file([]byte{opProto, 2, opBinGet, 3, opStop})},
	}
	for _, c := range cases {
		_, err := parse(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", c.name, err, c.want)
		}
		if _, ok := errors.AsType[*checkpoint.DamagedError](err); !ok {
			t.Errorf("%s: %T; want a DamagedError", c.name, err)
		}
	}
}

// TestDamage: a flipped bit in a storage is found when the storage is read.
func TestDamage(t *testing.T) {
	pickle := dictionary(func(p *pickler) { p.str("a"); p.tensor("FloatStorage", "0", 6, 0, []int{6}, []int{1}) })
	data := archive(t, zip.Store, "m/data.pkl", pickle, "m/data/0", floats(6))
	data[bytes.Index(data, floats(6))+9] ^= 4
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Tensors()[0].Each(func([]byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("%v; want a word about the checksum", err)
	}
}

// FuzzUnpickle: no pickle leads to a panic or to memory out of proportion.
func FuzzUnpickle(f *testing.F) {
	f.Add(dictionary(func(p *pickler) { p.str("a"); p.tensor("FloatStorage", "0", 6, 0, []int{2, 3}, []int{3, 1}) }))
	real, err := zip.OpenReader("../../../testdata/golden/hf_checkpoint/autoencoder_bin_bf16/pytorch_model.bin") // of PyTorch's own
	if err != nil {
		f.Fatal(err)
	}
	defer real.Close()
	pickle, err := real.Open("pytorch_model/data.pkl")
	if err != nil {
		f.Fatal(err)
	}
	data, err := io.ReadAll(pickle)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{opProto, 2, opEmptyDict, opBinPut, 0, opMark, opBinGet, 0, opBinGet, 0, opSetItems, opStop})
	f.Add([]byte{opProto, 2, opMark, opMark, opEmptyList, opBinGet, 0, opAppends, opTuple, opLong1, 2, 1, 255, opBuild, opStop})
	f.Fuzz(func(t *testing.T, data []byte) {
		within := memtest.Within(t, len(data), 1<<18)
		found, err := unpickle(data)
		within()
		if err != nil && len(found) > 0 {
			t.Error("tensors beside an error")
		}
	})
}

// FuzzParse: an archive with any pickle and any damage is read or is an error. Tensors that are read have the right size.
func FuzzParse(f *testing.F) {
	pickle := dictionary(func(p *pickler) {
		p.str("a")
		p.tensor("FloatStorage", "0", 6, 0, []int{3, 2}, []int{1, 3})
		p.str("b")
		p.tensor("HalfStorage", "1", 12, 2, []int{2, 2}, []int{5, 1})
	})
	f.Add(archive(f, zip.Store, "m/data.pkl", pickle, "m/data/0", floats(6), "m/data/1", floats(6)))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		within := memtest.Within(t, len(data), 1<<18)
		file, err := parse(data)
		within()
		if err != nil {
			return
		}
		for _, x := range file.Tensors() {
			total, want := 0, x.DType.Bytes()
			for _, n := range x.Shape {
				want *= n
			}
			err := x.Each(func(p []byte) error { total += len(p); return nil })
			if err == nil && total != want {
				t.Errorf("%s %v gave %d bytes", x.Name, x.Shape, total)
			}
		}
	})
}
