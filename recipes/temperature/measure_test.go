package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// tiny trains a judge and a language model for a few steps, below a directory as run.sh does.
func tiny(t *testing.T) (runs, judge, lm string) {
	t.Helper()
	runs = t.TempDir()
	judge, lm = filepath.Join(runs, "judge-bytes", "run"), filepath.Join(runs, "lm")
	if err := os.Mkdir(filepath.Dir(judge), 0o777); err != nil {
		t.Fatal(err)
	}
	sizes := []string{"hidden_size=32", "intermediate_size=48", "block_size=256", "batch_size=2", "eval_blocks=1", "warmup_steps=2", "learning_rate=0.01"}
	layers := append([]string{"num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1"}, sizes...)
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	for _, o := range []run.Options{
		{Kind: run.AR, Out: judge, Steps: 20, Set: layers},
		{Kind: run.AE, Out: filepath.Join(runs, "ae"), Steps: 20, Set: append([]string{"latent_size=8"}, sizes...)},
		{Kind: run.LM, Out: lm, AE: filepath.Join(runs, "ae"), Preset: "quickstart-flow", Steps: 3, Set: layers},
	} {
		training, err := run.Create(t.Context(), e, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := training.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := training.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return runs, judge, lm
}

// TestMeasure writes with every setting of a judge and of a model, checks that nothing is written twice, judges and reports.
func TestMeasure(t *testing.T) {
	runs, judge, lm := tiny(t)
	for dir, kind := range map[string]string{judge: "ar", lm: "lm"} {
		var before []byte
		for range 2 {
			if err := command(t.Context(), []string{"write", "--texts", "2", "--bytes", "16", "--threads", "1", dir}); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(dir, textsFile))
			if err != nil || before != nil && !bytes.Equal(data, before) {
				t.Fatalf("a second run changed %s, %v", dir, err)
			}
			before = data
		}
		if err := command(t.Context(), []string{"judge", "--judge", judge, "--threads", "1", dir}); err != nil {
			t.Fatal(err)
		}
		results, err := readLines[result](filepath.Join(dir, judgedFile))
		if want := settings(kind, "flow"); err != nil || len(results) != len(want) {
			t.Fatalf("%d results, %v; want %d", len(results), err, len(want))
		}
		for i, r := range results {
			bits := r.Bits["bytes"]
			if r.setting != settings(kind, "flow")[i] || r.Bytes < 1 || r.Bytes > 32 || !(bits > 0 && bits < 20) || !(r.Error["bytes"] >= 0) {
				t.Errorf("%s: %+v", dir, r)
			}
			if patches := r.DrawsPerByte * float64(r.Bytes) / float64(r.Draws); kind == "lm" && (math.Abs(patches-math.Round(patches)) > 1e-9 || patches < 2 || patches > 10) {
				t.Errorf("%+v took %v draws a byte", r.setting, r.DrawsPerByte)
			}
		}
	}
	dir := filepath.Join(runs, "report")
	if err := report(runs, dir); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "results.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if want := 1 + len(settings("ar", "")) + len(settings("lm", "flow")); err != nil || len(rows) != want {
		t.Errorf("results.csv has %d rows, %v; want %d", len(rows), err, want)
	}
	table, err := os.ReadFile(filepath.Join(dir, "table.md"))
	for _, want := range []string{"### bytes-k4-flow", "### bytes-baseline", "| prefix, N = 64 |", "| batch, N = 200 |", "| prefix, N = 32, noise 0.7 |", "The book's own text"} {
		if !strings.Contains(string(table), want) {
			t.Errorf("table.md, %v, has no %q:\n%s", err, want, table)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "bytes-k4-flow.svg")); err != nil || !bytes.Contains(svg, []byte("batch, N = 200")) {
		t.Errorf("the plot: %d bytes, %v", len(svg), err)
	}
	if err := report(t.TempDir(), dir); err == nil || !strings.Contains(err.Error(), "no measured runs") {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestJudge checks the judge's bits against the baseline's logits, token by token.
func TestJudge(t *testing.T) {
	_, dir, _ := tiny(t)
	j, err := openJudge(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.model.Close()
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	prompts, texts := [][]byte{[]byte("Call me"), []byte("The")}, [][]byte{[]byte(" Ishmael."), []byte(" whale, the whale!")}
	got, err := j.bits(e, prompts, texts)
	if err != nil {
		t.Fatal(err)
	}
	m, tok := j.model.Network.(*ar.Model), j.model.Tokenizer
	for i, text := range texts {
		want := 0.
		s := m.NewSession(e, 1, 64)
		if err := s.Append(tok.AppendEncode([]int32{tok.BOS()}, prompts[i])); err != nil {
			t.Fatal(err)
		}
		for _, id := range tok.AppendEncode(nil, text) {
			logits, err := s.Logits()
			if err != nil {
				t.Fatal(err)
			}
			total := 0.
			for _, z := range logits {
				total += math.Exp(float64(z))
			}
			want -= (float64(logits[id]) - math.Log(total)) / math.Ln2
			if err := s.Append([]int32{id}); err != nil {
				t.Fatal(err)
			}
		}
		if math.Abs(got[i]-want) > 1e-3 {
			t.Errorf("%q costs %v bits, want %v", text, got[i], want)
		}
	}
}

// TestRate checks bits a byte and its standard error. For texts of equal length the error is that of a mean.
func TestRate(t *testing.T) {
	mean, err := rate([]float64{10, 20, 30}, [][]byte{make([]byte, 10), make([]byte, 10), make([]byte, 10)})
	if math.Abs(mean-2) > 1e-12 || math.Abs(err-1/math.Sqrt(3)) > 1e-12 {
		t.Errorf("%v ± %v, want 2 ± %v", mean, err, 1/math.Sqrt(3))
	}
}

func TestDiversity(t *testing.T) {
	for _, c := range []struct {
		texts []string
		want  diversity
	}{
		{[]string{"abcd", "abcd"}, diversity{0, .5, 0}},
		{[]string{"abcde", "bcdef"}, diversity{1.5, .75, 0}}, // bcde twice, abcd and cdef once
		{[]string{"", "abc", "abcd"}, diversity{0, 1, 0}},
		{[]string{"0123456789abcdef", "0123456789abcdefg", "!"}, diversity{math.Log2(27) - 26./27, 14. / 27, 1. / 3}},
	} {
		var texts [][]byte
		for _, s := range c.texts {
			texts = append(texts, []byte(s))
		}
		got := diversityOf(texts)
		if math.Abs(got.Entropy-c.want.Entropy) > 1e-12 || math.Abs(got.Distinct-c.want.Distinct) > 1e-12 || math.Abs(got.Repeated-c.want.Repeated) > 1e-12 {
			t.Errorf("%q: %+v, want %+v", c.texts, got, c.want)
		}
	}
}

// TestPassages checks that passages are of different places, begin and end at words, and have the sizes that are asked for.
func TestPassages(t *testing.T) {
	const n, size = 20, 50
	list, err := passages(t.Context(), n, size)
	if err != nil || len(list) != n {
		t.Fatalf("%d passages, %v", len(list), err)
	}
	seen := map[string]bool{}
	for _, p := range list {
		if k := len(p.prompt); k < promptBytes || k > promptBytes+wordBytes || len(p.text) != size || !bytes.ContainsAny(p.text[:1], " \n") || seen[string(p.prompt)] {
			t.Errorf("%q, %q", p.prompt, p.text)
		}
		seen[string(p.prompt)] = true
	}
	if _, err := passages(t.Context(), 1_000_000, size); err == nil || !strings.Contains(err.Error(), "fewer than") {
		t.Errorf("a million passages: %v", err)
	}
}

// TestAt checks where a curve reaches an entropy.
func TestAt(t *testing.T) {
	c := curve{}
	for _, xy := range [][2]float64{{10, 3}, {9, 2}, {8, 1.5}, {8.5, 1}} {
		c.results = append(c.results, result{diversity: diversity{Entropy: xy[0]}, Bits: map[string]float64{"bytes": xy[1]}})
	}
	for entropy, want := range map[float64]string{9.5: "2.5 true", 10: "3 true", 8.25: "1.625 true", 8.5: "1.75 true", 7: "0 false", 11: "0 false"} {
		bits, ok := c.at(entropy, "bytes")
		if got := fmt.Sprint(bits, " ", ok); got != want {
			t.Errorf("at %v: %s, want %s", entropy, got, want)
		}
	}
}

// TestAbove checks the mean distance of two curves over the entropies that both reach.
func TestAbove(t *testing.T) {
	line := func(points ...[2]float64) (c curve) {
		for _, xy := range points {
			c.results = append(c.results, result{diversity: diversity{Entropy: xy[0]}, Bits: map[string]float64{"bytes": xy[1]}})
		}
		return c
	}
	a, b := line([2]float64{10, 3}, [2]float64{8, 1}), line([2]float64{10, 3}, [2]float64{9, 3}, [2]float64{5, 3})
	if got, ok := b.above(a, "bytes"); !ok || math.Abs(got-1) > 1e-9 { // 0 at 10, 2 at 8
		t.Errorf("%v, %v; want 1", got, ok)
	}
	if got, ok := a.above(b, "bytes"); !ok || math.Abs(got+1) > 1e-9 {
		t.Errorf("%v, %v; want -1", got, ok)
	}
	if got, ok := a.above(line([2]float64{7, 3}, [2]float64{5, 3}), "bytes"); ok {
		t.Errorf("%v for curves that share no entropy", got)
	}
}

// TestCommand checks that bad command lines are refused.
func TestCommand(t *testing.T) {
	for _, args := range [][]string{nil, {"report", "x"}, {"write"}, {"judge", "--judge", "x"}, {"judge", "x"}, {"write", "--texts", "0", "y"}, {"write", "--bytes", "1", "y"}, {"read", "x"}} {
		if command(t.Context(), args) == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
