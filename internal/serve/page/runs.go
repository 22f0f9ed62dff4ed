package page

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// What is read of a directory of runs at most.
const (
	maxRuns        = 200     // runs that are listed
	maxDirectories = 5000    // directories that are looked at
	maxDepth       = 3       // levels of directories
	maxConfig      = 1 << 20 // bytes of a config.json
	tailOfMetrics  = 16 << 10
)

// summary is a run in the list.
type summary struct {
	Name          string   `json:"name"` // its path in the directory, with slashes
	Kind          run.Kind `json:"kind"`
	Head          string   `json:"head"`            // of a language model
	Step          int      `json:"step"`            // the last one in metrics.jsonl
	MaxSteps      int      `json:"max_steps"`       // 0: not known
	TokensPerStep int      `json:"tokens_per_step"` // 0: not known
	Written       int64    `json:"written"`         // when metrics.jsonl was last written, in ms since 1970; 0: there is none
	Error         string   `json:"error"`           // why config.json cannot be read; ""
}

// runs is the endpoint that lists the runs of the directory, the one written last first.
func (p page) runs(w http.ResponseWriter, r *http.Request) error {
	list, left := []summary{}, 0
	root, err := p.openRuns()
	switch {
	case errors.Is(err, fs.ErrNotExist): // there may be runs later
	case err != nil:
		return err
	default:
		defer root.Close()
		list = findRuns(root)
		slices.SortStableFunc(list, func(a, b summary) int { return cmp.Compare(b.Written, a.Written) })
		if left = len(list) - maxRuns; left > 0 {
			list = list[:maxRuns]
		}
	}
	return send(w, r, map[string]any{"directory": p.Runs, "runs": list, "left_out": max(0, left)})
}

// openRuns opens the directory of runs. Nothing outside it can be opened through the result, not by links either.
func (p page) openRuns() (*os.Root, error) {
	if p.Runs == "" {
		return nil, refuse(http.StatusNotFound, "the server shows no directory of runs")
	}
	root, err := os.OpenRoot(p.Runs)
	if err != nil {
		return nil, fmt.Errorf("the directory of runs cannot be read: %w", err)
	}
	return root, nil
}

// findRuns returns the runs of a directory. What cannot be read is left out: others may be at work there.
func findRuns(root *os.Root) []summary {
	list := []summary{}
	directories := 0
	files := root.FS()
	_ = fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || !e.IsDir():
			return nil
		case name != "." && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		}
		if directories++; directories > maxDirectories {
			return fs.SkipAll
		}
		if _, err := fs.Stat(files, path.Join(name, checkpoint.ConfigFile)); err == nil && name != "." {
			list = append(list, summarize(root, name))
			return fs.SkipDir
		}
		if strings.Count(name, "/") == maxDepth-1 {
			return fs.SkipDir
		}
		return nil
	})
	return list
}

// summarize reads what the list shows of a run.
func summarize(root *os.Root, name string) summary {
	s := summary{Name: name}
	var c struct {
		Kind       run.Kind `json:"kind"`
		Head       string   `json:"model_type"`
		MaxSteps   int      `json:"max_steps"`
		BatchSize  int      `json:"batch_size"`
		BlockSize  int      `json:"block_size"`
		Accumulate int      `json:"gradient_accumulation_steps"`
	}
	data, err := readRun(root, path.Join(name, checkpoint.ConfigFile), maxConfig)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		s.Error = fmt.Sprintf("%s cannot be read: %v", checkpoint.ConfigFile, err)
	}
	s.Kind, s.Head, s.MaxSteps, s.TokensPerStep = c.Kind, c.Head, c.MaxSteps, c.BatchSize*c.BlockSize*c.Accumulate
	f, info, err := openRun(root, path.Join(name, checkpoint.MetricsFile))
	if err != nil {
		return s
	}
	defer f.Close() // it was only read
	s.Written = info.ModTime().UnixMilli()
	tail := make([]byte, min(info.Size(), tailOfMetrics))
	n, _ := f.ReadAt(tail, info.Size()-int64(len(tail)))
	lines := strings.Split(string(tail[:n]), "\n")
	for _, text := range slices.Backward(lines[:len(lines)-1]) { // the last one is not complete
		if line, err := train.ParseLine([]byte(text)); err == nil {
			s.Step = line.Step
			break
		}
	}
	return s
}

// openRun opens a regular file of a run. Opening a pipe would wait.
func openRun(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	if info, err := root.Stat(name); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, errors.New("it is not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat() // of the file that was opened: another may have taken its place
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func readRun(root *os.Root, name string, limit int64) ([]byte, error) {
	f, info, err := openRun(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	if info.Size() > limit {
		return nil, fmt.Errorf("it has %d bytes: want at most %d", info.Size(), limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// named returns the directory of runs and the name of the run that a request asks for. The caller must close the
// directory.
func (p page) named(r *http.Request) (*os.Root, string, error) {
	name := r.URL.Query().Get("run")
	if !fs.ValidPath(name) || name == "." {
		return nil, "", refuse(http.StatusBadRequest, "the name of a run is %q: want its path in the directory of runs", name)
	}
	root, err := p.openRuns()
	if err != nil {
		return nil, "", err
	}
	if _, err := root.Stat(path.Join(name, checkpoint.ConfigFile)); err != nil {
		root.Close()
		return nil, "", refuse(http.StatusNotFound, "there is no run %s", name)
	}
	return root, name, nil
}

// runConfig is the endpoint that returns the configuration of a run, as in its config.json.
func (p page) runConfig(w http.ResponseWriter, r *http.Request) error {
	root, name, err := p.named(r)
	if err != nil {
		return err
	}
	defer root.Close()
	data, err := readRun(root, path.Join(name, checkpoint.ConfigFile), maxConfig)
	var keys map[string]jsontext.Value
	if err == nil {
		err = json.Unmarshal(data, &keys)
	}
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, "%s of %s cannot be read: %v", checkpoint.ConfigFile, name, err)
	}
	return send(w, r, map[string]any{"config": keys})
}
