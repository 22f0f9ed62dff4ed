package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/run"
)

const peerLine = `{"name": "train/lm-bytes", "shape": "4x128", "threads": 2, "ms_median": 48, "runs": 9, "software": "PyTorch 2", "processor": "Zen", "load": 1.5}`

// peerFile writes lines to a file and returns its path.
func peerFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peer.json")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTrainPeer measures the smallest preset and compares it with a file.
func TestTrainPeer(t *testing.T) {
	o, list := collect()
	err := Train(t.Context(), TrainOptions{Options: o, Presets: []string{"lm-bytes"}, Peer: peerFile(t, peerLine)})
	if err != nil || len(*list) != 1 {
		t.Fatalf("%v, %d results", err, len(*list))
	}
	r := (*list)[0]
	wantKeys(t, r, "flops gflops peak_gflops fraction_of_peak tokens_per_s peak_rss_mb peer peer_ms peer_load over_peer")
	near(t, "over_peer", r.OverPeer, 48/r.MSMedian)
	if r.Peer != "PyTorch 2 on Zen" || r.PeerMS != 48 || r.PeerLoad != 1.5 || r.Shape != "4x128" {
		t.Errorf("%+v", r)
	}
}

// TestMatch checks that match returns the median of the last program's measurements of the same step on as many threads.
func TestMatch(t *testing.T) {
	list := []peer{
		{Name: "train/a", Shape: "4x8", Threads: 2, MSMedian: 9, Software: "P"},
		{Name: "train/a", Shape: "4x8", Threads: 2, MSMedian: 100, Software: "Q"},
		{Name: "train/a", Shape: "4x8", Threads: 1, MSMedian: 200, Software: "P"},
		{Name: "train/b", Shape: "4x8", Threads: 2, MSMedian: 300, Software: "P"},
		{Name: "train/a", Shape: "4x8", Threads: 2, MSMedian: 5, Software: "P", Load: 3},
		{Name: "train/a", Shape: "4x8", Threads: 2, MSMedian: 6, Software: "P", Load: 1},
	}
	got, ok, err := match(list, "train/a", "4x8", 2)
	if want := (peer{Name: "train/a", Shape: "4x8", Threads: 2, MSMedian: 6, Software: "P", Load: 3}); !ok || err != nil || got != want {
		t.Errorf("found %+v, %v, %v; want %+v", got, ok, err, want)
	}
	if _, ok, err := match(list, "train/c", "4x8", 2); ok || err != nil {
		t.Errorf("found what is not there: %v, %v", ok, err)
	}
	for _, c := range []struct {
		shape   string
		threads int
	}{{"4x8", 3}, {"4x9", 2}} {
		if _, ok, err := match(list, "train/b", c.shape, c.threads); ok || err == nil {
			t.Errorf("%s on %d threads: compared with another measurement", c.shape, c.threads)
		}
	}
}

// TestParsePeers checks that errors name the line and the key.
func TestParsePeers(t *testing.T) {
	if list, err := parsePeers([]byte("\n" + peerLine + "\n\n" + peerLine)); err != nil || len(list) != 2 || list[1].MSMedian != 48 {
		t.Errorf("%v, %v", list, err)
	}
	for line, want := range map[string]string{
		"PyTorch took 48 ms": "line 2",
		strings.Replace(peerLine, `"train/lm-bytes"`, `""`, 1): `line 2: "name"`,
		strings.Replace(peerLine, `"4x128"`, `""`, 1):          `"shape"`,
		strings.Replace(peerLine, `"PyTorch 2"`, `""`, 1):      `"software"`,
		strings.Replace(peerLine, `2,`, `0,`, 1):               `"threads"`,
		strings.Replace(peerLine, `48`, `0`, 1):                `"ms_median"`,
		strings.Replace(peerLine, `1.5`, `-1`, 1):              `"load"`,
		strings.Repeat(" ", 1<<20) + peerLine:                  "line 2",
	} {
		if _, err := parsePeers([]byte(peerLine + "\n" + line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s in it", line, err, want)
		}
	}
}

func FuzzParsePeers(f *testing.F) {
	f.Add([]byte(peerLine))
	f.Add([]byte("{}\n[1]\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parsePeers(data)
		if err != nil {
			return
		}
		for _, p := range list {
			if err := p.validate(); err != nil {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}

// TestPeerPresets checks that recipes/peer measures the same steps as Train, with the same sizes.
func TestPeerPresets(t *testing.T) {
	const dir = "../../recipes/peer"
	data, err := os.ReadFile(filepath.Join(dir, "presets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var presets map[string]struct {
		Kind          run.Kind
		Batch, Tokens int
		Autoencoder   map[string]any
		LM            map[string]any
	}
	if err := json.Unmarshal(data, &presets); err != nil {
		t.Fatal(err)
	}
	if len(presets) != len(TrainPresets()) {
		t.Errorf("%s has %d presets, want %v", dir, len(presets), TrainPresets())
	}
	for _, name := range TrainPresets() {
		m, err := newModel(name, "", true, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := presets[name]
		if p.Kind != m.Kind || p.Batch != m.BatchSize || p.Tokens != m.BlockSize {
			t.Errorf("%s: %s of %dx%d, want %s of %s", name, p.Kind, p.Batch, p.Tokens, m.Kind, m.shape())
		}
		if m.Kind == run.AE {
			sameKeys(t, name, p.Autoencoder, m.Config())
			continue
		}
		sameKeys(t, name+": autoencoder", p.Autoencoder, m.Autoencoder().Config)
		sameKeys(t, name, p.LM, m.Config())
	}
	script, err := os.ReadFile(filepath.Join(dir, "run.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "(" + strings.Join(TrainPresets(), " ") + ")"; !strings.Contains(string(script), want) {
		t.Errorf("run.sh does not measure %s", want)
	}
}

// sameKeys checks that the peer's configuration has the same values as calm's.
func sameKeys(t *testing.T, name string, got map[string]any, c any) {
	t.Helper()
	data, err := config.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		t.Errorf("%s: no configuration", name)
	}
	for key, value := range got {
		if !reflect.DeepEqual(value, want[key]) {
			t.Errorf("%s: %s is %v, calm's is %v", name, key, value, want[key])
		}
	}
}
