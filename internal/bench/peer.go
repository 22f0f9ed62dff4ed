package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/run"
)

// peer is a measurement by another program, a line of the file that TrainOptions.Peer names. recipes/peer writes such
// files; docs/formats.md describes them. Keys that are not here are ignored.
type peer struct {
	Name      string  `json:"name"`      // as Result.Name: train/lm-bytes
	Shape     string  `json:"shape"`     // as Result.Shape: 4x128
	Threads   int     `json:"threads"`   // number of threads
	MSMedian  float64 `json:"ms_median"` // median time of a run, in ms
	Software  string  `json:"software"`  // the program, such as PyTorch 2.8.0
	Processor string  `json:"processor"` // name of the processor; may be ""
	Load      float64 `json:"load"`      // load average of the last minute; 0 where it is not known
}

// readPeers reads a file of peers, one JSON object in each line. Errors name the line.
func readPeers(path string) ([]peer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := parsePeers(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parsePeers(data []byte) ([]peer, error) {
	var list []peer
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var p peer
		err := json.Unmarshal(line, &p)
		if err == nil {
			err = p.validate()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, p)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return list, nil
}

func (p peer) validate() error {
	for _, text := range []struct{ key, value string }{{"name", p.Name}, {"shape", p.Shape}, {"software", p.Software}} {
		if text.value == "" {
			return fmt.Errorf("%q is missing", text.key)
		}
	}
	switch {
	case p.Threads < 1:
		return fmt.Errorf(`"threads" is %d: want 1 or more`, p.Threads)
	case !(p.MSMedian > 0):
		return fmt.Errorf(`"ms_median" is %g: want more than 0`, p.MSMedian)
	case p.Load < 0:
		return fmt.Errorf(`"load" is %g: want 0 or more`, p.Load)
	}
	return nil
}

func (p peer) String() string {
	if p.Processor == "" {
		return p.Software
	}
	return p.Software + " on " + p.Processor
}

// peers returns the measurements to compare the models with, by the model's name. A model that is not in the file has none. The
// error is a *run.UsageError if the file has none of the models, or has one only with another shape or number of threads.
func (o TrainOptions) peers(models []*model) (map[string]peer, error) {
	if o.Peer == "" {
		return nil, nil
	}
	if len(o.sets()) > 0 {
		return nil, usage("--peer compares unchanged presets: leave out --set, --batch and --tokens")
	}
	list, err := readPeers(o.Peer)
	if err != nil {
		return nil, &run.UsageError{Err: fmt.Errorf("--peer: %w", err)}
	}
	e := o.engine(o.Threads)
	defer e.Close()
	found := map[string]peer{}
	for _, m := range models {
		p, ok, err := match(list, "train/"+m.name, m.shape(), e.Threads())
		if err != nil {
			return nil, usage("--peer %s: %w", o.Peer, err)
		}
		if ok {
			found[m.name] = p
		}
	}
	if len(found) == 0 {
		return nil, usage("--peer %s has no line for any of the presets, such as %q", o.Peer, "train/"+models[0].name)
	}
	return found, nil
}

// match returns the last line with the name, shape and number of threads. If the same program has several such lines, MSMedian is
// the median of theirs, and Load the maximum.
func match(list []peer, name, shape string, threads int) (found peer, ok bool, err error) {
	var other string
	for _, p := range list {
		switch {
		case p.Name != name:
		case p.Shape != shape || p.Threads != threads:
			other = p.Shape + " on " + plural.Count(p.Threads, "thread")
		default:
			found, ok = p, true
		}
	}
	if !ok {
		if other != "" {
			err = fmt.Errorf("%s was measured with %s, but here it has %s on %s: use the same (--threads)",
				name, other, shape, plural.Count(threads, "thread"))
		}
		return found, false, err
	}
	var times []float64
	for _, p := range list {
		if p.Name == name && p.Shape == shape && p.Threads == threads && p.String() == found.String() {
			times = append(times, p.MSMedian)
			found.Load = math.Max(found.Load, p.Load)
		}
	}
	found.MSMedian = median(times)
	return found, true, nil
}

// compare adds the comparison with p to r.
func (p peer) compare(r *Result) {
	r.Peer, r.PeerMS, r.PeerLoad = p.String(), p.MSMedian, p.Load
	r.OverPeer = p.MSMedian / r.MSMedian
}
