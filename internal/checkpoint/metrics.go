package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"

	"github.com/calm-go/calm/internal/nofollow"
)

// maxMetricsLine is the largest length of a line in bytes. A longer line counts as damaged. It bounds the memory that a damaged
// file can use.
const maxMetricsLine = 1 << 20

// AppendMetrics adds v as one line of JSON to metrics.jsonl. The key "step" tells TrimMetrics which lines to remove.
func (r *Run) AppendMetrics(v any) error {
	r.mustWrite()
	line, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if r.metrics == nil {
		if r.metrics, err = r.disk.Append(r.Path(MetricsFile)); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	before, err := r.metrics.Stat()
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if _, err := r.metrics.Write(append(line, '\n')); err != nil {
		return errors.Join(fmt.Errorf("metrics: %w", err), r.metrics.Truncate(before.Size())) // leave no incomplete line
	}
	return nil
}

// TrimMetrics prepares metrics.jsonl for a run that resumes after step: it removes lines of later steps, and damaged lines that
// a kill or a power failure left. Lines without a step stay. It returns the number of lines removed. The step is -1 for a run
// that begins again. A missing file counts as empty.
func (r *Run) TrimMetrics(step int) (removed int, err error) {
	r.mustWrite()
	if r.metrics != nil {
		err := r.metrics.Close()
		r.metrics = nil
		if err != nil {
			return 0, err
		}
	}
	in, err := nofollow.Open(r.Path(MetricsFile), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	defer in.Close()
	removed, err = copyMetrics(io.Discard, in, step)
	if err != nil || removed == 0 {
		return removed, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	return removed, r.disk.WriteFile(r.Path(MetricsFile), func(w io.Writer) error {
		_, err := copyMetrics(w, in, step)
		return err
	})
}

// copyMetrics copies the lines that stay and counts the others.
func copyMetrics(w io.Writer, in io.Reader, step int) (removed int, err error) {
	for line, err := range metricsLines(in) {
		switch {
		case err != nil:
			return removed, fmt.Errorf("metrics: %w", err)
		case !line.ended || line.tooLong || !keepsLine(line.text, step):
			removed++
		default:
			if _, err := w.Write(line.text); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// metricsLine is a line of metrics.jsonl.
type metricsLine struct {
	text    []byte // valid until the next line; empty for a line that is too long
	ended   bool   // it ends with a newline
	tooLong bool   // longer than maxMetricsLine
}

func metricsLines(in io.Reader) iter.Seq2[metricsLine, error] {
	return func(yield func(metricsLine, error) bool) {
		lines := bufio.NewReaderSize(in, maxMetricsLine)
		for {
			var line metricsLine
			text, err := lines.ReadSlice('\n')
			for errors.Is(err, bufio.ErrBufferFull) {
				line.tooLong = true
				_, err = lines.ReadSlice('\n')
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(line, err)
				return
			}
			line.ended = err == nil
			if !line.tooLong {
				line.text = text
			}
			if nothing := !line.ended && len(text) == 0; nothing || !yield(line, nil) || !line.ended {
				return
			}
		}
	}
}

// ReadMetrics yields the lines of metrics.jsonl in a run directory, in order. The run may be training meanwhile. Each line is
// valid until the next. A missing file counts as empty. A last line without a newline is left out: it is being written, or was
// cut off by a kill. An error ends the lines; it names the file and, if one line is wrong, its number.
func ReadMetrics(dir string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		path := filepath.Join(dir, MetricsFile)
		in, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.Close() // it was only read
		n := 0
		for line, err := range metricsLines(in) {
			n++
			switch {
			case err != nil:
				yield(nil, fmt.Errorf("%s: %w", path, err))
				return
			case !line.ended:
				return
			case line.tooLong:
				yield(nil, fmt.Errorf("%s:%d: the line is longer than %d bytes", path, n, maxMetricsLine))
				return
			case !yield(line.text, nil):
				return
			}
		}
	}
}

func keepsLine(line []byte, step int) bool {
	var at struct {
		Step *int `json:"step"`
	}
	if json.Unmarshal(line, &at) != nil {
		return false
	}
	return at.Step == nil || *at.Step <= step
}
