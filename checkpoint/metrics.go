package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/go-json-experiment/json"
)

// maxMetricsLine bounds the memory that a damaged file can cost; a longer line counts as torn.
const maxMetricsLine = 1 << 20

// AppendMetrics adds v as one line of JSON to metrics.jsonl. Lines carry a "step", which TrimMetrics goes by.
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
		return errors.Join(fmt.Errorf("metrics: %w", err), r.metrics.Truncate(before.Size())) // no half lines
	}
	return nil
}

// TrimMetrics cuts metrics.jsonl back to what a run that resumes after step has behind it: lines of later steps go,
// and so do lines that a kill or a power failure tore. Lines without a step stay. It returns how many went.
// Before a run's first checkpoint the step is -1. A missing file is an empty one.
func (r *Run) TrimMetrics(step int) (removed int, err error) {
	r.mustWrite()
	if r.metrics != nil {
		err := r.metrics.Close()
		r.metrics = nil
		if err != nil {
			return 0, err
		}
	}
	in, err := os.Open(r.Path(MetricsFile))
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

// copyMetrics copies the lines that stay and counts those that do not.
func copyMetrics(w io.Writer, in io.Reader, step int) (removed int, err error) {
	lines := bufio.NewReaderSize(in, maxMetricsLine)
	for {
		line, err := lines.ReadSlice('\n')
		whole := err == nil
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return removed, fmt.Errorf("metrics: %w", err)
		case whole && keepsLine(line, step):
			if _, err := w.Write(line); err != nil {
				return removed, err
			}
		case len(line) > 0:
			removed++
		}
		if err != nil {
			return removed, nil // the end
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
