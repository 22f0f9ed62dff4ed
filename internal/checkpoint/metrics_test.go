package checkpoint

import (
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/calm-go/calm/internal/atomicfile"
)

func TestTrimMetrics(t *testing.T) {
	long := `{"step":1,"text":"` + strings.Repeat("x", maxMetricsLine) + `"}` + "\n"
	for name, c := range map[string]struct {
		in      string
		step    int
		want    string
		removed int
	}{
		"nothing to do":  {"{\"step\":1}\n{\"step\":2}\n", 2, "{\"step\":1}\n{\"step\":2}\n", 0},
		"later steps":    {"{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n", 1, "{\"step\":1}\n", 2},
		"before any":     {"{\"step\":0}\n{\"step\":1}\n", -1, "", 2},
		"no step":        {"{\"kind\":\"start\"}\n{\"step\":9}\n", 1, "{\"kind\":\"start\"}\n", 1},
		"torn":           {"{\"step\":1}\n{\"ste", 5, "{\"step\":1}\n", 1},
		"whole but torn": {"{\"step\":1}\n{\"step\":2}", 5, "{\"step\":1}\n", 1},
		"zeros":          {"{\"step\":1}\n\x00\x00\x00\n{\"step\":2}\n\x00\x00", 5, "{\"step\":1}\n{\"step\":2}\n", 2},
		"long":           {long + "{\"step\":1}\n", 5, "{\"step\":1}\n", 1},
		"empty":          {"", 5, "", 0},
	} {
		r := newRun(t)
		if err := os.WriteFile(r.Path(MetricsFile), []byte(c.in), 0o666); err != nil {
			t.Fatal(err)
		}
		removed, err := r.TrimMetrics(c.step)
		got, rerr := os.ReadFile(r.Path(MetricsFile))
		if err != nil || rerr != nil || string(got) != c.want || removed != c.removed {
			t.Errorf("%s: %q, %d removed, %v; want %q, %d", name, got, removed, err, c.want, c.removed)
		}
		if err := r.AppendMetrics(map[string]int{"step": 7}); err != nil {
			t.Error(err)
		}
		if got, _ := os.ReadFile(r.Path(MetricsFile)); string(got) != c.want+"{\"step\":7}\n" {
			t.Errorf("%s: appending gave %q", name, got)
		}
	}
}

func TestTrimMetricsWithoutFile(t *testing.T) {
	if n, err := newRun(t).TrimMetrics(3); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAppendMetricsLeavesNoHalfLine(t *testing.T) {
	r := newRun(t)
	full := false
	r.disk = &atomicfile.Disk{Fault: func(op atomicfile.Op, path string, size int) (int, error) {
		if full && op == atomicfile.OpWrite {
			return size / 2, syscall.ENOSPC
		}
		return 0, nil
	}}
	for step := range 3 {
		full = step == 1
		if err := r.AppendMetrics(map[string]int{"step": step}); (err != nil) != full {
			t.Errorf("step %d: %v", step, err)
		}
	}
	if err := r.AppendMetrics(map[string]float64{"loss": math.NaN()}); err == nil {
		t.Error("JSON has no NaN, and nothing was said")
	}
	got, err := os.ReadFile(r.Path(MetricsFile))
	if want := "{\"step\":0}\n{\"step\":2}\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
