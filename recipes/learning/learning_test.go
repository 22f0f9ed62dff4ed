package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// compose returns the configuration of a model in run.sh: the preset with keys changed, validated as calm train does.
func compose(k int, sets ...string) (run.LMConfig, error) {
	preset, err := run.AEPreset(run.DefaultPreset, tokenizer.Bytes())
	if err != nil {
		return run.LMConfig{}, err
	}
	ae, err := config.Compose(preset, "", []string{fmt.Sprintf("patch_size=%d", k), fmt.Sprintf("latent_size=%d", 8*k)})
	if err != nil {
		return run.LMConfig{}, err
	}
	c, err := run.LMPreset(run.DefaultPreset, ae.AutoencoderConfig)
	if err != nil {
		return c, err
	}
	if c, err = config.Compose(c, "", append(sets, "eval_steps=340", "eval_blocks=256", "save_steps=0")); err != nil {
		return c, err
	}
	return c, c.ValidateWith(ae.AutoencoderConfig)
}

// TestModels checks that every model in run.sh's list has a valid configuration, and that all configurations differ.
func TestModels(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	script, err := os.ReadFile("run.sh")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?ms)^models\(\) \{$.*?^\}$`).Find(script)
	out, err := exec.Command(bash, "-euc", string(list)+"\nmodels").CombinedOutput()
	if list == nil || err != nil {
		t.Fatalf("the list of models: %v, %s", err, out)
	}
	names := map[settings]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		k, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		c, err := compose(k, words[1:]...)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		s := settingsOf(t, c).settings
		if names[s] != "" {
			t.Errorf("%q and %q cannot be told apart", names[s], line)
		}
		names[s] = line
	}
	if len(names) != 53 { // with 3 seeds the 159 runs of docs/learning.md
		t.Errorf("%d models, want 53", len(names))
	}
}

// settingsOf converts a configuration as readRun does.
func settingsOf(t *testing.T, c run.LMConfig) trained {
	t.Helper()
	data, err := config.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	var r trained
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestUsual checks that usual has the values of the preset.
func TestUsual(t *testing.T) {
	c, err := compose(4)
	if err != nil {
		t.Fatal(err)
	}
	if others := settingsOf(t, c).others(); others != "" {
		t.Errorf("the preset differs from what is usual in %s", others)
	}
}

// write writes the files of a run that the report reads.
func write(t *testing.T, dir string, c run.LMConfig, r lm.Measurement, metrics string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	data, err := config.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	measured, err := json.Marshal(map[string]any{"lm": r})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"config.json": data, "eval.json": measured, "metrics.jsonl": []byte(metrics)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReport checks the table, which has a row for each configuration with the mean and its interval, and the curves, which show
// only configurations that differ in nothing but the token loss.
func TestReport(t *testing.T) {
	runs, out := t.TempDir(), filepath.Join(t.TempDir(), "report")
	curve := `{"kind": "step", "step": 1, "loss": 3}
{"step": 50, "measured": true, "brier_lm": 1, "token_brier_1": 20}
{"kind": "measured", "step": 100, "brier_lm": 2, "token_brier_1": 30}
{"kind": "ste`
	for i, keys := range [][]string{{"seed=1"}, {"seed=2"}, {"seed=1", "mse_anchor=1", "token_loss_weight=0"}} {
		c, err := compose(4, append(keys, "max_steps=100")...)
		if err != nil {
			t.Fatal(err)
		}
		percent := float64(2 + i)
		r := lm.Measurement{Result: brier.Result{BrierLM: brier.Percent(percent), Brier: [brier.N]float64{10 * percent}, BrierLMInterval: brier.Interval{Lo: percent - 1, Hi: percent + 2}}}
		metrics := curve
		if i == 2 {
			metrics = strings.ReplaceAll(curve, `, "token_brier_1"`, `, "other"`)
			metrics = strings.Replace(metrics, `"brier_lm": 1`, `"brier_lm": null`, 1) // not measurable yet
		}
		write(t, filepath.Join(runs, fmt.Sprint("run", i)), c, r, metrics)
	}
	if err := report(runs, out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(out, "table.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{ // two seeds: intervals of sqrt(1+1)/2 below and sqrt(4+4)/2 above
		fmt.Sprintf("| 4 | energy | 4 | 1 |  | 100 | 25.0 | 2.50 [%.2f, %.2f] | 2.00 3.00 | 30.0 |", 2.5-math.Sqrt2/2, 2.5+math.Sqrt2),
		"| 4 | energy | 0 | 1 | mse_anchor 1 | 100 | 40.0 | 4.00 [3.00, 6.00] | 4.00 |  |",
	}
	if rows := strings.Split(strings.TrimSpace(string(got)), "\n")[2:]; strings.Join(rows, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	files, err := filepath.Glob(filepath.Join(out, "*.svg"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != "k4-energy.svg" {
		t.Errorf("curves %v, %v; want k4-energy.svg alone", files, err)
	}
}

// TestNothingToReport checks the errors of a directory without measured runs and of a run with a damaged file.
func TestNothingToReport(t *testing.T) {
	runs, out := t.TempDir(), t.TempDir()
	if err := report(runs, out); err == nil || !strings.Contains(err.Error(), "no measured runs") {
		t.Errorf("%v", err)
	}
	c, err := compose(2)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(runs, "a"), c, lm.Measurement{}, "{\"step\": 1}\n{\"st\n")
	if err := report(runs, out); err == nil || !strings.Contains(err.Error(), "metrics.jsonl:2") {
		t.Errorf("%v", err)
	}
}
