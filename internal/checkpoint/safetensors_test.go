package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calm-go/calm/internal/atomicfile"
)

// rawFile returns a file with the given header and that many bytes of data.
func rawFile(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

func TestHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		header string
		data   int
		want   string
	}{
		{`[]`, 0, "byte 8: the header does not begin with {"},
		{``, 0, "byte 8: the header does not begin with {"},
		{`{`, 0, "byte 9: header: unexpected EOF"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, 4, "byte 61: header: unexpected EOF"},
		{`{} {}`, 0, "byte 10: more text after the end of the header"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8, `byte 62: header: the name "a" occurs twice`},
		{`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4, `the name "dtype" occurs twice`},
		{`{"a":3}`, 0, `byte 12: header: tensor "a": want an object`},
		{`{"a":{"dtype":"F32","Shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": unknown key "Shape"`},
		{`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": want dtype, shape and data_offsets`},
		{`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4, `tensor "a": want dtype, shape and data_offsets`},
		{`{"a":{"dtype":"F32","shape":[1]}}`, 4, `tensor "a": want dtype, shape and data_offsets`},
		{`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": unknown dtype "F31"`},
		{`{"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "a": want a string`},
		{`{"a":{"dtype":"F32","shape":7,"data_offsets":[0,4]}}`, 4, `tensor "a": want a list`},
		{`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4, `tensor "a": -1: want a whole number`},
		{`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4, `tensor "a": 1.5: want a whole number`},
		{`{"a":{"dtype":"F32","shape":[{}],"data_offsets":[0,4]}}`, 4, `tensor "a": {}: want a whole number`},
		{`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}`, 4, `want a whole number`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4, `tensor "a": data_offsets are 1 numbers; want 2`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`, 8, `tensor "a": its data ends at byte 4, before it begins at 8`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, `tensor "a": shape [2] of F32 takes 8 bytes, data_offsets [0, 4] hold 4`},
		{`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, `tensor "a": shape [4294967296 4294967296] is too large`},
		{`{"a":{"dtype":"F32","shape":[4294967296,1073741824],"data_offsets":[0,0]}}`, 0, `is too large`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7, `tensor "a" ends at byte 8 of the data, of which the file has 7: truncated?`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 9, `the last 1 bytes of the data belong to no tensor`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12, `bytes 4 to 8 of the data, before tensor "b", belong to no tensor`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, `tensor "b" starts at byte 4 of the data, inside tensor "a" that ends at 8`},
		{`{"__metadata__":{"a":1}}`, 0, "header: want a string"},
		{`{"__metadata__":[]}`, 0, "header: want an object"},
		{"{\"\xff\":{}}", 0, "invalid UTF-8"},
	} {
		_, err := Parse("x.safetensors", rawFile(c.header, c.data))
		if _, ok := errors.AsType[*DamagedError](err); !ok || !strings.HasPrefix(err.Error(), "x.safetensors: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.header, err, c.want)
		}
	}
}

func TestLengthRefuses(t *testing.T) {
	for _, c := range []struct {
		file string
		want string
	}{
		{"", "0 bytes are too few"},
		{"\x02\x00\x00\x00\x00\x00\x00", "7 bytes are too few"},
		{"\x03\x00\x00\x00\x00\x00\x00\x00{}", "ask for a header of 3 bytes, the file has 10"},
		{"\xff\xff\xff\xff\xff\xff\xff\xff{}", "ask for a header of 18446744073709551615 bytes, the file has 10"},
		{"GGUF\x03\x00\x00\x00{}", "not a safetensors file"},
	} {
		if _, err := Parse("x", []byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v; want %q", c.file, err, c.want)
		}
	}
}

func TestHeaderAccepts(t *testing.T) {
	// The reader accepts any order, spaces at the end, empty tensors, scalars, and types that calm cannot convert.
	f, err := Parse("x", rawFile(`{"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"__metadata__":{"k":"v"},`+
		`"a":{"data_offsets":[0,4],"shape":[],"dtype":"F32"},"e":{"dtype":"F32","shape":[0,5],"data_offsets":[4,4]}}   `, 7))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Names(); !slices.Equal(got, []string{"a", "b", "e"}) {
		t.Errorf("names %q", got)
	}
	if got := f.Metadata(); !cmp.Equal(got, map[string]string{"k": "v"}) {
		t.Errorf("metadata %v", got)
	}
	for name, want := range map[string][]int{"a": {}, "b": {3}, "e": {0, 5}} {
		if info, ok := f.Info(name); !ok || !slices.Equal(info.Shape, want) {
			t.Errorf("%s: %+v", name, info)
		}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{second(f.Float32s("b")), `x: tensor "b" is of type U8; want floats`},
		{second(f.Int64s("a")), `x: tensor "a" is of type F32; want integers`},
		{second(f.Tensor("b")), `x: tensor "b" is of type U8; want floats or integers`},
		{second(f.Bytes("c")), `x: has no tensor "c"`},
		{f.ReadFloat32("a", make([]float32, 2)), `x: tensor "a" has shape [], 1 numbers; want 2`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%v; want %s", c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestConversions(t *testing.T) {
	le := binary.LittleEndian
	floats := []struct {
		d    DType
		bits uint64
		want float64
	}{
		{F32, 0x3f800001, 1 + 0x1p-23}, {F32, 0x80000000, math.Copysign(0, -1)}, {F32, 1, 0x1p-149},
		{F64, math.Float64bits(math.Pi), math.Pi},
		{BF16, 0x3f80, 1}, {BF16, 0xc049, -3.140625}, {BF16, 0xff80, math.Inf(-1)}, {BF16, 1, 0x1p-133},
		{F16, 0x3c00, 1}, {F16, 0xbc01, -1 - 0x1p-10}, {F16, 0x7bff, 65504}, {F16, 1, 0x1p-24}, {F16, 0x03ff, 1023 * 0x1p-24},
		{F16, 0x0400, 0x1p-14}, {F16, 0x7c00, math.Inf(1)}, {F16, 0x8000, math.Copysign(0, -1)},
	}
	for _, c := range floats {
		src := le.AppendUint64(nil, c.bits)[:c.d.Bytes()]
		var got64 [1]float64
		var got32 [1]float32
		if !readFloats(got64[:], src, c.d) || !readFloats(got32[:], src, c.d) {
			t.Fatalf("%s is not read", c.d)
		}
		if math.Float64bits(got64[0]) != math.Float64bits(c.want) || math.Float32bits(got32[0]) != math.Float32bits(float32(c.want)) {
			t.Errorf("%s %#x: %v, %v; want %v", c.d, c.bits, got64[0], got32[0], c.want)
		}
	}
	if x := float64(float16(0x7e00)); !math.IsNaN(x) {
		t.Errorf("the half NaN is %v", x)
	}
	for _, c := range []struct {
		d    DType
		bits uint64
		want int64
	}{{I64, 1 << 63, math.MinInt64}, {I32, 0xffffffff, -1}, {I32, 7, 7}} {
		var got [1]int64
		if !readInts(got[:], le.AppendUint64(nil, c.bits)[:c.d.Bytes()], c.d) || got[0] != c.want {
			t.Errorf("%s %#x: %d; want %d", c.d, c.bits, got[0], c.want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	one := []float32{1}
	for _, c := range []struct {
		tensors []Tensor
		want    string
	}{
		{[]Tensor{{Name: "", Data: one}}, `"" is not a valid name`},
		{[]Tensor{{Name: "__metadata__", Data: one}}, "is not a valid name"},
		{[]Tensor{{Name: "\xff", Data: one}}, "is not a valid name"},
		{[]Tensor{{Name: "a", Data: one}, {Name: "a", Data: one}}, `tensor "a": jsontext: duplicate object member name "a"`},
		{[]Tensor{{Name: "a", Data: one, Ints: []int64{1}}}, `tensor "a" has both floats and integers`},
		{[]Tensor{{Name: "a", Shape: []int{2}, Data: one}}, `tensor "a" has shape [2] and 1 numbers`},
		{[]Tensor{{Name: "a", Shape: []int{-1}, Data: one}}, `tensor "a" cannot have shape [-1]`},
		{[]Tensor{{Name: "a", Shape: []int{1 << 40, 1 << 40}, Data: one}}, `tensor "a" cannot have shape`},
	} {
		if err := Encode(io.Discard, c.tensors, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %s", err, c.want)
		}
	}
}

// TestEncodeBytes checks the exact bytes of a file: other programs read the format, and equal states have equal files.
func TestEncodeBytes(t *testing.T) {
	a := Tensor{Name: "a", Shape: []int{2}, Data: []float32{1, -2}}
	b := Tensor{Name: "b", Ints: []int64{-1}}
	c := Tensor{Name: "c", Shape: []int{0, 3}, Data: []float32{}}
	var one, two bytes.Buffer
	if err := Encode(&one, []Tensor{a, b, c}, map[string]string{"z": "1", "step": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := Encode(&two, []Tensor{c, b, a}, map[string]string{"step": "2", "z": "1"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the order of the tensors changes the bytes")
	}
	header := `{"__metadata__":{"calm.crc32c":"991a58b8","format":"pt","step":"2","z":"1"},"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"c":{"dtype":"F32","shape":[0,3],"data_offsets":[16,16]}}`
	header += strings.Repeat(" ", (64-(8+len(header))%64)%64)
	want := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	want = append(want, header...)
	want = append(want, "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x80\x3f\x00\x00\x00\xc0"...)
	if diff := cmp.Diff(string(want), one.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestEncodeRoundTrip also tests the conversion on big-endian machines.
func TestEncodeRoundTrip(t *testing.T) {
	native := littleEndian
	t.Cleanup(func() { littleEndian = native })
	rapid.Check(t, func(t *rapid.T) {
		littleEndian = native && rapid.Bool().Draw(t, "native")
		var list []Tensor
		for i := range rapid.IntRange(0, 5).Draw(t, "tensors") {
			tensor := Tensor{Name: fmt.Sprint(rapid.String().Draw(t, "name"), i), Shape: rapid.SliceOfN(rapid.IntRange(0, 13), 0, 4).Draw(t, "shape")}
			n := 1
			for _, d := range tensor.Shape {
				n *= d
			}
			seed := rapid.Uint32().Draw(t, "seed") // for tensors longer than the writer's buffer, without drawing each bit
			if rapid.Bool().Draw(t, "floats") {
				tensor.Data = make([]float32, n)
			} else {
				tensor.Ints = make([]int64, n)
			}
			for j := range n {
				seed = seed*1664525 + 1013904223
				if tensor.Ints != nil {
					tensor.Ints[j] = int64(seed) << 20
				} else if tensor.Data[j] = math.Float32frombits(seed); math.IsNaN(float64(tensor.Data[j])) {
					tensor.Data[j] = 0 // DeepEqual finds NaN unequal to itself
				}
			}
			list = append(list, tensor)
		}
		var out bytes.Buffer
		if err := Encode(&out, list, nil); err != nil {
			t.Fatal(err)
		}
		f, err := Parse("x", out.Bytes())
		if err == nil {
			err = f.Verify()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range list {
			if got, err := f.Tensor(want.Name); err != nil || !cmp.Equal(got, want) {
				t.Fatalf("%v, %v; want %v", got, err, want)
			}
		}
	})
}

// write replaces a file of weights as a run does.
func write(path string, tensors ...Tensor) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Encode(w, tensors, nil) })
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	if err := write(path, Tensor{Name: "a", Data: []float32{3}}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	// An open file keeps its content when another file gets its name.
	if err := write(path, Tensor{Name: "b", Data: []float32{4}}); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Float32s("a"); err != nil || got[0] != 3 {
		t.Errorf("%v, %v", got, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"empty": "the file is empty", "none": "no such file", ".": "not a regular file"} {
		if _, err := Open(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
	}
}

// FuzzParse: no file makes the reader panic or use memory out of proportion, and every accepted file can be read. The length
// of the header is the right one plus a number, since a random one would almost always be wrong.
func FuzzParse(f *testing.F) {
	add := func(header string, data int, off int64) { f.Add([]byte(header), make([]byte, data), off) }
	add(`{}`, 0, 0)
	add(`{}`, 0, 1<<40)
	add(`{"__metadata__":{"calm.crc32c":"00000000"},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},"b":{"dtype":"I32","shape":[],"data_offsets":[4,8]}} `, 8, 0)
	add(`{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4000000000]}}`, 4, 0)
	add(`{"b":{"dtype":"F64","shape":[0,2],"data_offsets":[0,0]},"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}`, 2, 0)
	f.Fuzz(func(t *testing.T, header, tensors []byte, off int64) {
		data := append(rawFile(string(header), 0), tensors...)
		binary.LittleEndian.PutUint64(data, uint64(len(header))+uint64(off))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		file, err := Parse("x", data)
		runtime.ReadMemStats(&after)
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+256*len(data)); used > most {
			t.Errorf("%d bytes of file took %d bytes of memory", len(data), used)
		}
		if err != nil {
			return
		}
		total := 0
		for _, name := range file.Names() {
			info, ok := file.Info(name)
			raw, err := file.Bytes(name)
			if !ok || err != nil || info.Len()*info.DType.Bytes() != len(raw) {
				t.Errorf("%q: %+v, %v", name, info, err)
			}
			total += len(raw)
			if _, err := file.Tensor(name); err != nil && slices.Contains([]DType{F16, BF16, F32, F64, I32, I64}, info.DType) {
				t.Error(err)
			}
		}
		if total+int(file.header.dataAt) != len(data) {
			t.Errorf("tensors and header are %d bytes of %d", total+int(file.header.dataAt), len(data))
		}
		_ = file.Verify()
	})
}

// FuzzState: no state.json makes reading a checkpoint panic.
func FuzzState(f *testing.F) {
	good, err := encodeState(1, map[string]fileSum{ModelFile: {Bytes: 1, CRC32C: "00000000"}}, nil, progress{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"step":1,"files":{"model.safetensors":{"bytes":-1,"crc32c":"0"}},"trainer":{"a":[1e400]},"crc32c":""}`))
	f.Add([]byte(`{"format":1,"step":1,"files":{},"trainer":null,"crc32c":""}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		var state stateJSON
		if json.Unmarshal(data, &state) == nil { // get past the checksum
			state.CRC32C, _ = state.sum()
			if whole, err := json.Marshal(state); err == nil {
				data = whole
			}
		}
		if err := os.WriteFile(filepath.Join(dir, stateFile), data, 0o666); err != nil {
			t.Fatal(err)
		}
		if s, err := openSaved(dir, 1); err == nil {
			t.Errorf("a checkpoint without weights was opened: %+v", s)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	data := make([]float32, 1<<24)
	tensors := []Tensor{{Name: "w", Shape: []int{len(data)}, Data: data}}
	b.SetBytes(int64(4 * len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Encode(io.Discard, tensors, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFloat32s(b *testing.B) {
	data := make([]float32, 1<<24)
	var out bytes.Buffer
	if err := Encode(&out, []Tensor{{Name: "w", Shape: []int{len(data)}, Data: data}}, nil); err != nil {
		b.Fatal(err)
	}
	f, err := Parse("x", out.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(4 * len(data)))
	for b.Loop() {
		if err := f.ReadFloat32("w", data); err != nil {
			b.Fatal(err)
		}
	}
}
