package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/serve/page"
	"github.com/calm-go/calm/train"
)

type summary struct {
	Name, Kind, Head, Error          string
	Step, Max_Steps, Tokens_Per_Step int
	Written                          int64
}

type runList struct {
	Directory string
	Runs      []summary
	Left_Out  int
}

type metricsPart struct {
	Lines []struct {
		Kind   string
		Step   int
		Values map[string]*float64
		Change string
	}
	Next            string
	More, Restarted bool
	Damaged         int
}

// runsOf returns the page of a directory of runs, without models.
func runsOf(dir string) http.Handler {
	return page.New(page.Options{Models: func() []page.Model { return nil }, Runs: dir})
}

// writeRun makes a directory that looks like a run.
func writeRun(t testing.TB, dir, name, config, metrics string) string {
	t.Helper()
	run := filepath.Join(dir, filepath.FromSlash(name))
	err := os.MkdirAll(run, 0o777)
	for file, text := range map[string]string{"config.json": config, "metrics.jsonl": metrics} {
		if err == nil && text != "" {
			err = os.WriteFile(filepath.Join(run, file), []byte(text), 0o666)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func metricsOf(t testing.TB, h http.Handler, run, after string) metricsPart {
	t.Helper()
	return answer[metricsPart](t, h, "/api/runs/metrics?"+url.Values{"run": {run}, "after": {after}}.Encode(), nil)
}

// TestRuns: real runs, of every kind and one level further down; the metrics are those that the library reads.
func TestRuns(t *testing.T) {
	dir := runsDir(t)
	h := runsOf(dir)
	got := map[string]summary{}
	list := answer[runList](t, h, "/api/runs", nil)
	for _, r := range list.Runs {
		got[r.Name] = r
		if age := time.Since(time.UnixMilli(r.Written)); age < 0 || age > time.Hour {
			t.Errorf("%s was written %v ago", r.Name, age)
		}
		r.Written = 0
		want := map[string]summary{
			"ae":      {Name: "ae", Kind: "ae", Step: steps(), Max_Steps: steps(), Tokens_Per_Step: 512},
			"lm":      {Name: "lm", Kind: "lm", Head: "energy", Step: 40, Max_Steps: 40, Tokens_Per_Step: 64},
			"more/ar": {Name: "more/ar", Kind: "ar", Step: 20, Max_Steps: 20, Tokens_Per_Step: 64},
		}[r.Name]
		if r != want {
			t.Errorf("%+v, want %+v", r, want)
		}
		part := metricsOf(t, h, r.Name, "")
		i := 0
		for line, err := range train.ReadMetrics(filepath.Join(dir, r.Name)) {
			if err != nil {
				t.Fatal(err)
			}
			if got := part.Lines[i]; got.Kind != string(line.Kind) || got.Step != line.Step || len(got.Values) != len(line.Values) {
				t.Errorf("line %d of %s is %+v, want %+v", i, r.Name, got, line)
			}
			for key, v := range line.Values {
				if p := part.Lines[i].Values[key]; v == v && (p == nil || *p != v) || v != v && p != nil {
					t.Errorf("%s in line %d of %s is %v, want %v", key, i, r.Name, p, v)
				}
			}
			i++
		}
		if i != len(part.Lines) || i < 5 || part.More || part.Damaged != 0 || part.Restarted {
			t.Errorf("%s has %d lines, and %+v", r.Name, i, part)
		}
		config := answer[struct{ Config map[string]any }](t, h, "/api/runs/config?run="+url.QueryEscape(r.Name), nil)
		if config.Config["kind"] != r.Kind || len(config.Config) < 20 {
			t.Errorf("the configuration of %s: %v", r.Name, config)
		}
	}
	if len(got) != 3 || list.Directory != dir || list.Left_Out != 0 {
		t.Errorf("%+v", list)
	}
}

// TestUnchangedRuns: the list is not sent again as long as nothing changes.
func TestUnchangedRuns(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, "a", `{"kind":"lm"}`, "{\"step\":1}\n")
	h := runsOf(dir)
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/api/runs", nil))
	again := func() int {
		r := httptest.NewRequest(http.MethodGet, "/api/runs", nil)
		r.Header.Set("If-None-Match", first.Header().Get("ETag"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := again(); got != http.StatusNotModified {
		t.Errorf("unchanged: status %d", got)
	}
	writeRun(t, dir, "b", `{"kind":"lm"}`, "")
	if got := again(); got != http.StatusOK {
		t.Errorf("changed: status %d", got)
	}
}

// TestMetricsWhileTraining: the answers continue where the one before ended, whatever is written meanwhile.
func TestMetricsWhileTraining(t *testing.T) {
	dir := t.TempDir()
	run := writeRun(t, dir, "a", `{"kind":"lm"}`, "")
	path := filepath.Join(run, "metrics.jsonl")
	h := runsOf(dir)
	part := metricsOf(t, h, "a", "")
	if len(part.Lines) != 0 || part.More || part.Restarted {
		t.Fatalf("without a file: %+v", part)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	steps := func(from, to int, loss string) string {
		var b strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&b, `{"kind":"step","step":%d,"loss":%s}`+"\n", i, loss)
		}
		return b.String()
	}
	check := func(what string, lines, first int, restarted bool, damaged int) {
		t.Helper()
		part = metricsOf(t, h, "a", part.Next)
		if len(part.Lines) != lines || lines > 0 && part.Lines[0].Step != first || part.Restarted != restarted || part.Damaged != damaged || part.More {
			t.Errorf("%s: %+v; want %d lines from step %d, restarted %t, %d damaged", what, part, lines, first, restarted, damaged)
		}
	}
	write(steps(1, 3, "2"))
	check("three lines", 3, 1, false, 0)
	check("nothing new", 0, 0, false, 0)
	write(steps(1, 3, "2") + `{"kind":"st`)
	check("a line that is being written", 0, 0, false, 0)
	write(steps(1, 5, "2"))
	check("two more", 2, 4, false, 0)
	write(steps(1, 5, "2") + "\x00\x00\nnull\n{\"step\":{}}\n" + strings.Repeat("[", 100) + "\n" + steps(6, 6, "null"))
	check("damaged lines", 1, 6, false, 4)
	if v, ok := part.Lines[0].Values["loss"]; !ok || v != nil {
		t.Errorf("a loss that was not finite is %v, %t", v, ok)
	}
	write(steps(1, 2, "2"))
	check("cut back", 2, 1, true, 0)
	write(steps(1, 2, "3") + steps(3, 30, "3"))
	check("cut back, and longer again", 30, 1, true, 0)
	write("")
	check("empty", 0, 0, true, 0)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("removed", 0, 0, false, 0)
	write(`{"kind":"changed","step":4,"key":"learning_rate","old":0.1,"new":0.2}` + "\n")
	check("a change", 1, 4, false, 0)
	if got := part.Lines[0].Change; got != "from step 4: learning_rate 0.1 -> 0.2" {
		t.Errorf("the change is %q", got)
	}
}

// TestLongMetrics: a long file comes in parts, and a line without end is one damaged line after another.
func TestLongMetrics(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	for i := 1; i <= 20_000; i++ {
		fmt.Fprintf(&b, `{"kind":"step","step":%d,"loss":1.25,"learning_rate":0.001,"tokens_per_s":20000,"grad_norm":1.5}`+"\n", i)
		if i == 10_000 {
			b.WriteString(strings.Repeat("x", 3<<20) + "\n")
		}
	}
	writeRun(t, dir, "a", `{"kind":"lm"}`, b.String())
	h := runsOf(dir)
	part := metricsPart{More: true}
	step, parts, damaged := 0, 0, 0
	for part.More {
		part = metricsOf(t, h, "a", part.Next)
		if parts++; parts > 20 || part.Restarted {
			t.Fatalf("part %d: restarted %t", parts, part.Restarted)
		}
		damaged += part.Damaged
		for _, line := range part.Lines {
			if step++; line.Step != step {
				t.Fatalf("step %d after %d", line.Step, step-1)
			}
		}
	}
	if step != 20_000 || parts < 5 || damaged < 3 || damaged > 4 {
		t.Errorf("%d steps in %d parts, %d damaged lines", step, parts, damaged)
	}
}

// TestDamagedRuns: what is not a run, or a damaged one, breaks nothing. Nothing outside the directory can be read.
func TestDamagedRuns(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "runs")
	writeRun(t, dir, "good", `{"kind":"lm","model_type":"flow","max_steps":9}`, "{\"step\":7}\nnonsense\n{\"step\":8,\"lo")
	writeRun(t, dir, "cut", `{"kind":"l`, "")
	writeRun(t, dir, "types", `{"kind":7}`, "{}\n")
	writeRun(t, dir, "large", strings.Repeat(" ", 1<<20)+"{}", "")
	writeRun(t, dir, "good/autoencoder", `{"kind":"ae"}`, "")
	writeRun(t, dir, ".hidden", `{"kind":"ae"}`, "")
	writeRun(t, dir, "a/b/c/d", `{"kind":"ae"}`, "")
	writeRun(t, outer, "secret", `{"kind":"ae"}`, "{\"step\":1}\n")
	if err := os.Symlink(filepath.Join("..", "secret"), filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	pipe := writeRun(t, dir, "pipe", `{"kind":"ae"}`, "")
	if err := os.Mkdir(filepath.Join(pipe, "metrics.jsonl"), 0o777); err != nil {
		t.Fatal(err)
	}
	h := runsOf(dir)
	got := map[string]summary{}
	for _, r := range answer[runList](t, h, "/api/runs", nil).Runs {
		got[r.Name] = r
	}
	if len(got) != 5 || got["good"].Step != 7 || got["good"].Max_Steps != 9 || got["good"].Error != "" || got["pipe"].Error != "" {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"cut", "types", "large"} {
		if !strings.HasPrefix(got[name].Error, "config.json cannot be read: ") {
			t.Errorf("%s: %+v", name, got[name])
		}
	}
	const bad, missing, unreadable = http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity
	for _, c := range []struct {
		query  string
		status int
		words  string
	}{
		{"config?run=cut", unreadable, "cut"},
		{"config?run=large", unreadable, "bytes"},
		{"config?run=..%2Fsecret", bad, "secret"},
		{"config?run=%2Fetc", bad, "etc"},
		{"config?run=link", missing, "link"},
		{"config?run=", bad, "name"},
		{"config?run=.", bad, "name"},
		{"config?run=a%00b", missing, "no run"},
		{"metrics?run=none", missing, "none"},
		{"metrics?run=link", missing, "link"},
		{"metrics?run=pipe", unreadable, "regular"},
		{"metrics?run=good&after=x", bad, "place"},
		{"metrics?run=good&after=-5-00000000", bad, "place"},
		{"metrics?run=good&after=5", bad, "place"},
	} {
		refused(t, h, "/api/runs/"+c.query, nil, c.status, c.words)
	}
	if none := answer[runList](t, runsOf(filepath.Join(outer, "none")), "/api/runs", nil); len(none.Runs) != 0 {
		t.Errorf("a directory that does not exist: %+v", none)
	}
	part := metricsOf(t, h, "good", "99999999999-00000000")
	if !part.Restarted || len(part.Lines) != 1 {
		t.Errorf("a place beyond the end: %+v", part)
	}
}

// FuzzMetrics: whatever stands in the file and wherever reading begins, each complete line comes once, or is damaged.
func FuzzMetrics(f *testing.F) {
	f.Add("{\"step\":1}\n{\"step\":2}\n", "", 11)
	f.Add("{\"st", "3-00000000", 0)
	f.Fuzz(func(t *testing.T, text, after string, cut int) {
		dir := t.TempDir()
		if cut < 0 || cut > len(text) {
			cut = len(text)
		}
		run := writeRun(t, dir, "a", `{}`, text[:cut])
		h := runsOf(dir)
		if status, body := ask(t, h, "/api/runs/metrics?"+url.Values{"run": {"a"}, "after": {after}}.Encode(), nil); status != http.StatusOK && status != http.StatusBadRequest {
			t.Fatalf("after %q: status %d: %s", after, status, body)
		}
		first := metricsOf(t, h, "a", "")
		if err := os.WriteFile(filepath.Join(run, "metrics.jsonl"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		second := metricsOf(t, h, "a", first.Next)
		if got, want := len(first.Lines)+first.Damaged+len(second.Lines)+second.Damaged, strings.Count(text, "\n"); got != want || second.Restarted {
			t.Errorf("%q, cut at %d: %d lines, want %d; restarted %t", text, cut, got, want, second.Restarted)
		}
	})
}
