package checkpoint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/edsrzf/mmap-go"

	"github.com/calm-go/calm/internal/filetype"
)

// File is an open safetensors file. Its header is in memory; its data is mapped. A File is safe for concurrent use, but not
// during Close.
type File struct {
	path    string
	header  *header
	all     []byte // the whole file
	mapping mmap.MMap
}

// Open maps a safetensors file into memory and checks its header. (Verify checks the data too.) For invalid content it returns a
// *DamagedError. If the file is a Git LFS pointer, a web page or weights in another format, the error says so. The file must not
// shrink while it is open.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays valid
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: not a regular file", path)
	}
	if info.Size() == 0 {
		return nil, damaged(path, "the file is empty")
	}
	mapping, err := mmap.MapRegion(f, int(info.Size()), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s into memory: %w", path, err)
	}
	file, err := Parse(path, mapping)
	if err != nil {
		_ = mapping.Unmap()
		return nil, err
	}
	file.mapping = mapping
	return file, nil
}

// Parse reads a safetensors file that is in memory. Errors contain the name.
func Parse(name string, data []byte) (*File, error) {
	h, err := parseHeader(data)
	if err != nil {
		if other := filetype.Mistaken(data, int64(len(data)), filetype.Safetensors); other != "" {
			err = errors.New(other)
		}
		return nil, &DamagedError{Path: name, Err: err}
	}
	return &File{path: name, header: h, all: data}, nil
}

// Close unmaps the file. Slices from Bytes and from the views are invalid afterwards; all other results are copies.
func (f *File) Close() error {
	f.all, f.header.raw = nil, nil
	if f.mapping == nil {
		return nil
	}
	return f.mapping.Unmap()
}

// Forget lets the system take back the memory that holds the mapped file. Parts of it that are used again are read again, as a
// rule from the system's copy of the file.
func (f *File) Forget() {
	if f.mapping != nil {
		forget(f.mapping)
	}
}

// WriteTo writes the content of the file that was opened, even if another file has its name by now.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.all)
	return int64(n), err
}

// Path returns the path that the file was opened with.
func (f *File) Path() string { return f.path }

// Names lists the names of the tensors, sorted.
func (f *File) Names() []string {
	names := make([]string, len(f.header.tensors))
	for i, t := range f.header.tensors {
		names[i] = t.Name
	}
	return names
}

// Only returns an error if the file has a tensor that is not known. Then it belongs to another model than config.json says.
func (f *File) Only(known func(name string) bool) error {
	for _, t := range f.header.tensors {
		if !known(t.Name) {
			return fmt.Errorf("%s does not match %s: it has a tensor %q that the model lacks", f.path, ConfigFile, t.Name)
		}
	}
	return nil
}

// Metadata returns a copy of the file's metadata.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// Info describes a tensor. It returns false if there is none with that name.
func (f *File) Info(name string) (Info, bool) {
	i, ok := slices.BinarySearchFunc(f.header.tensors, name, func(t Info, name string) int { return cmp.Compare(t.Name, name) })
	if !ok {
		return Info{}, false
	}
	t := f.header.tensors[i]
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// Bytes returns a tensor's data in the mapped file, little endian and not necessarily aligned. It is valid until Close.
func (f *File) Bytes(name string) ([]byte, error) {
	_, data, err := f.get(name)
	return data, err
}

// Tensor reads a tensor: floats of any format into Data as float32, integers into Ints.
func (f *File) Tensor(name string) (Tensor, error) {
	t, src, err := f.get(name)
	if err != nil {
		return Tensor{}, err
	}
	out := Tensor{Name: name, Shape: t.Shape}
	switch t.DType {
	case I64, I32:
		out.Ints = make([]int64, t.Len())
		readInts(out.Ints, src, t.DType)
		return out, nil
	}
	out.Data = make([]float32, t.Len())
	if !readFloats(out.Data, src, t.DType) {
		return Tensor{}, f.wrongType(t, "floats or integers")
	}
	return out, nil
}

// Float32s reads a tensor of floats of any format; float64 is rounded.
func (f *File) Float32s(name string) ([]float32, error) { return floats[float32](f, name) }

// Float64s reads a tensor of floats of any format.
func (f *File) Float64s(name string) ([]float64, error) { return floats[float64](f, name) }

// ReadFloat32 reads a tensor of floats of any format into dst, which must have the tensor's length; float64 is rounded.
func (f *File) ReadFloat32(name string, dst []float32) error {
	t, src, err := f.get(name)
	if err != nil {
		return err
	}
	if t.Len() != len(dst) {
		return damaged(f.path, "tensor %q has shape %v, %d numbers; want %d", name, t.Shape, t.Len(), len(dst))
	}
	if !readFloats(dst, src, t.DType) {
		return f.wrongType(t, "floats")
	}
	return nil
}

// Int64s reads a tensor of I64 or I32.
func (f *File) Int64s(name string) ([]int64, error) {
	t, src, err := f.get(name)
	if err != nil {
		return nil, err
	}
	out := make([]int64, t.Len())
	if !readInts(out, src, t.DType) {
		return nil, f.wrongType(t, "integers")
	}
	return out, nil
}

// Verify reads the whole file and compares it with the checksum in its metadata, which Encode writes. It returns nil for files
// without a checksum, which other programs wrote.
func (f *File) Verify() error {
	want, ok := f.header.metadata[checksumKey]
	if !ok {
		return nil
	}
	i := bytes.Index(f.header.raw, []byte(checksumPrefix))
	if i < 0 {
		return nil // another program rewrote the file and formatted the metadata differently
	}
	i += len(checksumPrefix)
	sum := crc32.Update(0, castagnoli, f.header.raw[:i])
	sum = crc32.Update(sum, castagnoli, []byte(noChecksum))
	sum = crc32.Update(sum, castagnoli, f.header.raw[min(i+len(noChecksum), len(f.header.raw)):])
	sum = crc32.Update(sum, castagnoli, f.all[f.header.dataAt:])
	if got := fmt.Sprintf("%08x", sum); got != want {
		return damaged(f.path, "its checksum is %s, its header says %s: the file was altered after calm wrote it", got, want)
	}
	return nil
}

func floats[T float32 | float64](f *File, name string) ([]T, error) {
	t, src, err := f.get(name)
	if err != nil {
		return nil, err
	}
	out := make([]T, t.Len())
	if !readFloats(out, src, t.DType) {
		return nil, f.wrongType(t, "floats")
	}
	return out, nil
}

func (f *File) get(name string) (Info, []byte, error) {
	t, ok := f.Info(name)
	if !ok {
		return Info{}, nil, damaged(f.path, "has no tensor %q", name)
	}
	return t, f.all[f.header.dataAt+t.begin : f.header.dataAt+t.end], nil
}

func (f *File) wrongType(t Info, want string) error {
	return damaged(f.path, "tensor %q is of type %s; want %s", t.Name, t.DType, want)
}
