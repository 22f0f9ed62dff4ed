package interchange

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/interchange/torch"
)

// Names of files with weights, in the order in which they are looked for. An index lists the files of a model with several.
const (
	safetensorsFile  = "model.safetensors"
	safetensorsIndex = "model.safetensors.index.json"
	binFile          = "pytorch_model.bin"
	binIndex         = "pytorch_model.bin.index.json"
)

// source is a tensor of a checkpoint.
type source struct {
	checkpoint.Stream
	storage string // two tensors with the same storage have the same numbers; "": unknown
}

// weights holds the tensors of a checkpoint, by name. It must be closed.
type weights struct {
	path    string // the file, or the index
	tensors map[string]source
	files   []io.Closer
}

// openWeights finds the weights in a directory and reads the headers of their files.
func openWeights(dir string) (w *weights, err error) {
	w = &weights{tensors: map[string]source{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
			w = nil
		}
	}()
	for _, name := range []string{safetensorsFile, safetensorsIndex, binFile, binIndex} {
		w.path = filepath.Join(dir, name)
		if _, err := os.Stat(w.path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if strings.HasSuffix(name, ".json") {
			return w, w.addIndexed(dir)
		}
		return w, w.add(w.path)
	}
	return w, fmt.Errorf("%s has no weights: want %s or %s in it, or the .index.json of weights in several files", dir, safetensorsFile, binFile)
}

// Close closes the files. The tensors cannot be read afterwards.
func (w *weights) Close() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.Close())
	}
	w.files = nil
	return errors.Join(errs...)
}

// add opens a file of weights and adds its tensors.
func (w *weights) add(path string) error {
	if filepath.Ext(path) == ".bin" {
		f, err := torch.Open(path)
		if err != nil {
			return err
		}
		w.files = append(w.files, f)
		for _, t := range f.Tensors() {
			if err := w.put(source{t.Stream, t.Storage}, path); err != nil {
				return err
			}
		}
		return nil
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	if err := f.Verify(); err != nil {
		return err
	}
	for _, name := range f.Names() {
		s, err := f.Stream(name)
		if err == nil {
			err = w.put(source{Stream: s}, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *weights) put(s source, path string) error {
	if _, twice := w.tensors[s.Name]; twice {
		return fmt.Errorf("%s: tensor %q is in another file too", path, s.Name)
	}
	w.tensors[s.Name] = s
	return nil
}

// maxIndexBytes is the largest size of an index. It has a line for each tensor.
const maxIndexBytes = 16 << 20

// addIndexed adds the files that an index lists, and checks that each tensor is in the file that the index says.
func (w *weights) addIndexed(dir string) error {
	data, err := readUpTo(w.path, maxIndexBytes)
	if err != nil {
		return err
	}
	where, err := parseIndex(data)
	if err != nil {
		return &checkpoint.DamagedError{Path: w.path, Err: err}
	}
	files := slices.Compact(slices.Sorted(maps.Values(where)))
	var missing []string
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s lists files that are missing: %s", w.path, strings.Join(missing, ", "))
	}
	in := map[string]string{}
	for _, name := range files {
		before := len(w.tensors)
		if err := w.add(filepath.Join(dir, name)); err != nil {
			return err
		}
		if len(w.tensors) == before {
			return fmt.Errorf("%s has no tensors", filepath.Join(dir, name))
		}
		for tensor := range w.tensors {
			if _, known := in[tensor]; !known {
				in[tensor] = name
			}
		}
	}
	return compareIndex(w.path, where, in)
}

// compareIndex returns an error that lists tensors that are not in the files that an index says.
func compareIndex(path string, where, in map[string]string) error {
	var wrong []string
	for tensor, file := range where {
		switch got, ok := in[tensor]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%s is not in %s", tensor, file))
		case got != file:
			wrong = append(wrong, fmt.Sprintf("%s is in %s, not in %s", tensor, got, file))
		}
	}
	for tensor, file := range in {
		if _, ok := where[tensor]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s, in %s, is not listed", tensor, file))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%s does not match its files:\n  %s", path, lines(wrong))
}

// parseIndex returns the file of each tensor: a name in the directory of the index.
func parseIndex(data []byte) (map[string]string, error) {
	if len(data) > maxIndexBytes {
		return nil, fmt.Errorf("it has more than %d MB: no index is that long", maxIndexBytes>>20)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("it is not an index of weights: %w", err)
	}
	if len(index.WeightMap) == 0 {
		return nil, errors.New("it has no weight_map, or an empty one")
	}
	for tensor, file := range index.WeightMap {
		ext := filepath.Ext(file)
		if file != filepath.Base(file) || strings.ContainsAny(file, `/\`) || ext != ".bin" && ext != ".safetensors" {
			return nil, fmt.Errorf("tensor %q is listed in %q: want the name of a .safetensors or .bin file in the index's directory", tensor, file)
		}
	}
	return index.WeightMap, nil
}
