// Package torch reads the tensors in a file written by torch.save, such as pytorch_model.bin: a zip archive with a pickle that
// describes the tensors, and an entry for each storage of their numbers.
//
// A pickle is a program. This package runs only the operations that build a dictionary of tensors: about 30, none of which calls
// anything. All others are errors, which name the operation. Memory is in proportion to the pickle. Numbers are read from the file
// only when they are needed, so a file of any size needs little memory.
//
// github.com/nlpodyssey/gopickle v0.3.0 reads such files too. It can be made to refuse other operations. But it reads all storages
// together with the pickle, converts all numbers to float32, allocates the sizes that the pickle says without a check, and panics
// on parts of the older format.
package torch

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/filetype"
)

// File is an open file of tensors. It is safe for concurrent use, but not during Close.
type File struct {
	path    string
	file    *os.File // nil if the data is in memory
	at      io.ReaderAt
	entries map[string]entry // storages, by key
	tensors []Tensor         // in the order of the pickle
}

// Tensor is a named tensor of a File. Its Stream is contiguous and row-major, whatever the strides in the file.
type Tensor struct {
	checkpoint.Stream
	// Storage identifies the tensor's numbers: two tensors with equal Storage are the same tensor under several names.
	Storage string
}

// entry is an uncompressed file in the archive.
type entry struct {
	offset, size int64
	crc          uint32 // 0: none was written
}

// maxPickleBytes is the largest size of the pickle. The description of a tensor has about 100 to 170 bytes, and the largest model
// has 400 tensors. Each byte of a hostile pickle can use up to 80 bytes of memory.
const maxPickleBytes = 1 << 20

// Open opens a file and reads the description of its tensors. For invalid content it returns a *checkpoint.DamagedError.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open %s: not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	file, err := Parse(path, f, info.Size())
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	file.file = f
	return file, nil
}

// Parse is Open for an open file of size bytes. Errors contain the name.
func Parse(name string, at io.ReaderAt, size int64) (*File, error) {
	f := &File{path: name, at: at, entries: map[string]entry{}}
	if err := f.parse(size); err != nil {
		return nil, &checkpoint.DamagedError{Path: name, Err: err}
	}
	return f, nil
}

// Close closes the file. Its tensors cannot be read afterwards.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Tensors lists the tensors.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

func (f *File) parse(size int64) error {
	head := make([]byte, filetype.HeadBytes)
	n, err := f.at.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if head = head[:n]; !bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		if other := filetype.Mistaken(head, size, filetype.Torch); other != "" {
			return errors.New(other)
		}
		return errors.New("it is not a zip archive, which torch.save writes since version 1.6: load it in Python and save it again")
	}
	archive, err := zip.NewReader(f.at, size)
	if err != nil {
		return fmt.Errorf("its list of contents, at the end of the file, cannot be read (%w): truncated?", err)
	}
	pickle, err := f.list(archive, size)
	if err != nil {
		return err
	}
	data := make([]byte, pickle.size)
	if _, err := io.ReadFull(io.NewSectionReader(f.at, pickle.offset, pickle.size), data); err != nil {
		return fmt.Errorf("data.pkl: %w", err)
	}
	if pickle.crc != 0 && crc32.ChecksumIEEE(data) != pickle.crc {
		return errors.New("data.pkl: its checksum is wrong: the file was damaged")
	}
	found, err := unpickle(data)
	if err != nil {
		return fmt.Errorf("data.pkl: %w", err)
	}
	for _, item := range found {
		t, err := f.tensor(item.name, item.tensor)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", item.name, err)
		}
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// list finds the entries of the archive. It returns DIR/data.pkl, and adds DIR/data/KEY to the storages.
func (f *File) list(archive *zip.Reader, size int64) (pickle entry, err error) {
	dir, found := "", false
	for _, z := range archive.File {
		if d, ok := strings.CutSuffix(z.Name, "data.pkl"); ok && (d == "" || strings.HasSuffix(d, "/")) && strings.Count(d, "/") <= 1 {
			if found {
				return pickle, errors.New("it has two data.pkl: not a file of torch.save")
			}
			dir, found = d, true
		}
	}
	if !found {
		return pickle, errors.New("it has no data.pkl: not a file of torch.save")
	}
	for _, z := range archive.File {
		key, isData := strings.CutPrefix(z.Name, dir+"data/")
		isPickle, isOrder := z.Name == dir+"data.pkl", z.Name == dir+"byteorder"
		if !isData && !isPickle && !isOrder {
			continue
		}
		e, err := entryOf(z, size)
		if err != nil {
			return pickle, fmt.Errorf("%s: %w", z.Name, err)
		}
		switch {
		case isPickle && e.size > maxPickleBytes:
			return pickle, fmt.Errorf("data.pkl has %d MB, more than any description of tensors", e.size>>20)
		case isPickle:
			pickle = e
		case isOrder:
			order := make([]byte, min(e.size, 16))
			if _, err := f.at.ReadAt(order, e.offset); err != nil {
				return pickle, fmt.Errorf("%s: %w", z.Name, err)
			}
			if string(order) != "little" {
				return pickle, fmt.Errorf("its byte order is %q; want little", order)
			}
		default:
			if _, twice := f.entries[key]; twice {
				return pickle, fmt.Errorf("%s occurs twice", z.Name)
			}
			f.entries[key] = e
		}
	}
	return pickle, nil
}

// entryOf returns the place of an entry's bytes in the file.
func entryOf(z *zip.File, size int64) (entry, error) {
	if z.Method != zip.Store || z.CompressedSize64 != z.UncompressedSize64 || z.Flags&1 != 0 {
		return entry{}, errors.New("it is compressed or encrypted, which torch.save never does")
	}
	offset, err := z.DataOffset()
	if err != nil {
		return entry{}, err
	}
	if offset < 0 || offset > size || z.UncompressedSize64 > uint64(size-offset) {
		return entry{}, fmt.Errorf("its %d bytes from byte %d on reach beyond the end of the file: truncated?", z.UncompressedSize64, offset)
	}
	return entry{offset: offset, size: int64(z.UncompressedSize64), crc: z.CRC32}, nil
}

// tensor checks the description of a tensor against its storage.
func (f *File) tensor(name string, t *tensor) (Tensor, error) {
	e, ok := f.entries[t.storage.key]
	if !ok {
		return Tensor{}, fmt.Errorf("the file has no storage %q", t.storage.key)
	}
	width := int64(t.storage.dtype.Bytes())
	if high, low := bits.Mul64(uint64(t.storage.len), uint64(width)); high != 0 || low != uint64(e.size) {
		return Tensor{}, fmt.Errorf("storage %s has %d bytes; want %d numbers of %s", t.storage.key, e.size, t.storage.len, t.storage.dtype)
	}
	if len(t.shape) != len(t.strides) {
		return Tensor{}, fmt.Errorf("shape %v does not fit strides %v", t.shape, t.strides)
	}
	// A tensor may use any part of its storage. One that is larger than its storage repeats numbers, and could be endless.
	count, last := uint64(1), uint64(t.offset)
	for i, n := range t.shape {
		high, low := bits.Mul64(count, uint64(n))
		if high != 0 || n > 0 && low > uint64(t.storage.len) {
			return Tensor{}, fmt.Errorf("shape %v has more numbers than its storage, %d", t.shape, t.storage.len)
		}
		count = low
		if n > 0 {
			high, low = bits.Mul64(uint64(n-1), uint64(t.strides[i]))
			if high != 0 || low > uint64(t.storage.len) {
				return Tensor{}, fmt.Errorf("shape %v with strides %v leaves its storage of %d numbers", t.shape, t.strides, t.storage.len)
			}
			last += low
		}
	}
	if count > 0 && last >= uint64(t.storage.len) {
		return Tensor{}, fmt.Errorf("shape %v with strides %v from number %d on leaves its storage of %d numbers", t.shape, t.strides, t.offset, t.storage.len)
	}
	v := view{tensor: t, entry: e, width: width, count: int64(count), last: int64(last)}
	return Tensor{
		Stream: checkpoint.Stream{Name: name, DType: t.storage.dtype, Shape: t.shape, Each: func(use func([]byte) error) error {
			if err := v.each(f.at, use); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
			}
			return nil
		}},
		Storage: f.path + ":" + t.storage.key + "+" + strconv.FormatInt(t.offset, 10) + fmt.Sprint(t.strides),
	}, nil
}

// view is the layout of a tensor in its storage.
type view struct {
	*tensor
	entry
	width, count, last int64 // bytes of a number, number of numbers, index of the last one in the storage
}

// pieceBytes is the size of the pieces in which numbers are read. It is a multiple of every format's size.
const pieceBytes = 1 << 20

func (v view) each(at io.ReaderAt, use func([]byte) error) error {
	switch {
	case v.count == 0:
		return nil
	case v.contiguous():
		return v.straight(at, use)
	}
	return v.gather(at, use)
}

func (v view) contiguous() bool {
	step := int64(1)
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 && v.strides[i] != step {
			return false
		}
		step *= int64(v.shape[i])
	}
	return true
}

// straight reads numbers that are contiguous. If they are a whole storage, it checks the storage's checksum in the archive.
func (v view) straight(at io.ReaderAt, use func([]byte) error) error {
	buf := make([]byte, min(pieceBytes, v.count*v.width))
	from, left, sum := v.entry.offset+v.tensor.offset*v.width, v.count*v.width, uint32(0)
	for left > 0 {
		p := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(io.NewSectionReader(at, from, int64(len(p))), p); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, p)
		if err := use(p); err != nil {
			return err
		}
		from, left = from+int64(len(p)), left-int64(len(p))
	}
	if v.count*v.width == v.entry.size && v.entry.crc != 0 && sum != v.entry.crc {
		return fmt.Errorf("storage %s: its checksum is wrong: the file was damaged", v.storage.key)
	}
	return nil
}

// gather reads numbers that are not contiguous, like those of a transposed matrix. It needs memory for the part of the storage that
// has them.
func (v view) gather(at io.ReaderAt, use func([]byte) error) error {
	data := make([]byte, (v.last-v.tensor.offset+1)*v.width)
	if _, err := io.ReadFull(io.NewSectionReader(at, v.entry.offset+v.tensor.offset*v.width, int64(len(data))), data); err != nil {
		return err
	}
	index, out := make([]int, len(v.shape)), make([]byte, 0, pieceBytes)
	from := int64(0) // in numbers
	for range v.count {
		if len(out) == cap(out) {
			if err := use(out); err != nil {
				return err
			}
			out = out[:0]
		}
		out = append(out, data[from*v.width:][:v.width]...)
		for i := len(index) - 1; i >= 0; i-- {
			from += v.strides[i]
			if index[i]++; index[i] < v.shape[i] {
				break
			}
			from -= int64(v.shape[i]) * v.strides[i]
			index[i] = 0
		}
	}
	return use(out)
}
