package page

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/train"
)

// maxMetrics is how many bytes of metrics.jsonl are read for one answer.
const maxMetrics = 1 << 20

// metricsPart is what follows in a run's metrics.
type metricsPart struct {
	Lines []metricsLine `json:"lines"`
	Next  string        `json:"next"` // the place to go on from
	More  bool          `json:"more"` // there is more to read already
	// Restarted says that the file is another one than that which was read before, because the run went back to a
	// checkpoint: these lines are from its beginning.
	Restarted bool `json:"restarted"`
	Damaged   int  `json:"damaged"` // lines that cannot be read, which are left out
}

// metricsLine is a line that can be read.
type metricsLine struct {
	Kind   train.EventKind     `json:"kind"`
	Step   int                 `json:"step"`
	Values map[string]*float64 `json:"values"` // null for a number that was not finite
	Change string              `json:"change,omitzero"`
}

// runMetrics is the endpoint that returns the lines of a run's metrics after a place, which is Next of the answer before;
// "" is the beginning.
func (p page) runMetrics(w http.ResponseWriter, r *http.Request) error {
	at, err := parsePlace(r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	root, name, err := p.named(r)
	if err != nil {
		return err
	}
	defer root.Close()
	f, info, err := openRun(root, path.Join(name, checkpoint.MetricsFile))
	if errors.Is(err, fs.ErrNotExist) { // the first step is not made
		return send(w, r, metricsPart{Lines: []metricsLine{}, Next: place{}.String(), Restarted: at.offset > 0})
	}
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, "%s of %s cannot be read: %v", checkpoint.MetricsFile, name, err)
	}
	defer f.Close() // it was only read
	part, err := readMetrics(f, info.Size(), at)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", checkpoint.MetricsFile, name, err)
	}
	return send(w, r, part)
}

// place is a place in a file of lines: an offset, and a checksum of what stands before it. So the server keeps nothing, and
// notices where the file was cut back and went on differently.
type place struct {
	offset int64
	sum    uint32 // CRC-32C of the last sumOf bytes before offset
}

const sumOf = 1 << 10

// String returns the place as requests have it.
func (p place) String() string { return fmt.Sprintf("%d-%08x", p.offset, p.sum) }

func parsePlace(s string) (place, error) {
	if s == "" {
		return place{}, nil
	}
	offset, sum, _ := strings.Cut(s, "-")
	n, err := strconv.ParseInt(offset, 10, 64)
	c, errSum := strconv.ParseUint(sum, 16, 32)
	if err != nil || errSum != nil || n < 0 {
		return place{}, refuse(http.StatusBadRequest, "the place in the metrics is %q: want what the answer before had as next", s)
	}
	return place{n, uint32(c)}, nil
}

// placeAt returns the place at an offset.
func placeAt(f io.ReaderAt, offset int64) (place, error) {
	before := make([]byte, min(offset, sumOf))
	if _, err := f.ReadAt(before, offset-int64(len(before))); err != nil && err != io.EOF {
		return place{}, err
	}
	return place{offset, crc32.Checksum(before, castagnoli)}, nil
}

// readMetrics reads the complete lines of a file after a place, up to maxMetrics bytes.
func readMetrics(f io.ReaderAt, size int64, at place) (metricsPart, error) {
	part := metricsPart{Lines: []metricsLine{}}
	if at.offset > 0 {
		now, err := placeAt(f, min(at.offset, size))
		if err != nil {
			return part, err
		}
		if now != at {
			part.Restarted, at = true, place{}
		}
	}
	data := make([]byte, min(size-at.offset, maxMetrics))
	n, err := f.ReadAt(data, at.offset)
	if err != nil && err != io.EOF {
		return part, err
	}
	data = data[:n]
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == 0 && len(data) == maxMetrics { // a line that long is damaged
		end = len(data)
	}
	for text := range bytes.Lines(data[:end]) {
		line, err := train.ParseLine(text)
		if err != nil {
			part.Damaged++
			continue
		}
		part.Lines = append(part.Lines, forPage(line))
	}
	next, err := placeAt(f, at.offset+int64(end))
	part.Next, part.More = next.String(), at.offset+int64(len(data)) < size
	return part, err
}

func forPage(line train.Line) metricsLine {
	l := metricsLine{Kind: line.Kind, Step: line.Step, Values: map[string]*float64{}}
	for key, v := range line.Values {
		if l.Values[key] = &v; math.IsNaN(v) || math.IsInf(v, 0) {
			l.Values[key] = nil
		}
	}
	if c := line.Change; c != nil {
		l.Change = c.String()
	}
	return l
}
