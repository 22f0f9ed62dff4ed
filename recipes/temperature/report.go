package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/calm-go/calm/train"
)

// measured is a run with its results.
type measured struct {
	about
	vocabulary string
	steps      int                // of its training
	scores     map[string]float64 // of its last measurement in training
	results    []result
}

// name names the run in files and tables.
func (m measured) name() string {
	if m.Kind == "ar" {
		return m.vocabulary + "-baseline"
	}
	return fmt.Sprintf("%s-k%d-%s", m.vocabulary, m.PatchSize, m.ModelType)
}

// curve is the results of one sampler and number of draws, at falling temperature.
type curve struct {
	setting // without the temperature
	results []result
}

// label names a curve.
func (c curve) label() string {
	switch {
	case c.Sampler == "":
		return "baseline"
	case c.NoiseScale != 1:
		return fmt.Sprintf("%s, N = %d, noise %g", c.Sampler, c.Draws, c.NoiseScale)
	}
	return fmt.Sprintf("%s, N = %d", c.Sampler, c.Draws)
}

// report writes the table, the data and the plots of the runs in a directory.
func report(runs, dir string) error {
	all, err := readRuns(runs)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%s has no measured runs: make some with recipes/temperature/run.sh %s", runs, runs)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return errors.Join(
		writeCSV(filepath.Join(dir, "results.csv"), all),
		os.WriteFile(filepath.Join(dir, "table.md"), []byte(tables(all)), 0o666),
		plots(all, dir),
	)
}

// readRuns reads the measured runs below a directory: language models, and the judges, which lie one deeper.
func readRuns(dir string) (list []measured, err error) {
	for _, pattern := range []string{filepath.Join(dir, "*", judgedFile), filepath.Join(dir, "*", "run", judgedFile)} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			m, err := readRun(filepath.Dir(file))
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b measured) int {
		return cmp.Or(cmp.Compare(b.vocabulary, a.vocabulary), cmp.Compare(a.Kind, b.Kind), cmp.Compare(b.PatchSize, a.PatchSize), cmp.Compare(a.ModelType, b.ModelType))
	})
	return list, nil
}

func readRun(dir string) (m measured, err error) {
	if m.about, err = aboutRun(dir); err != nil {
		return m, err
	}
	m.vocabulary = vocabulary(m.VocabSize)
	if m.results, err = readLines[result](filepath.Join(dir, judgedFile)); err != nil {
		return m, err
	}
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			return m, err
		}
		if line.Kind == train.EventMeasured {
			m.steps, m.scores = line.Step, line.Values
		}
	}
	return m, nil
}

// find returns the last result of a setting.
func (m measured) find(s setting) (found result, ok bool) {
	for _, r := range m.results {
		if r.setting == s {
			found, ok = r, true
		}
	}
	return found, ok
}

// curves returns the results by sampler, draws and noise. The results at temperature 1 without a sampler begin every curve of
// the same noise.
func (m measured) curves() (list []curve) {
	for _, s := range settings(m.Kind, m.ModelType) {
		r, ok := m.find(s)
		if !ok || s.Sampler == human || s.Temperature == 1 && m.Kind != "ar" {
			continue
		}
		s.Temperature = 0
		i := slices.IndexFunc(list, func(c curve) bool { return c.setting == s })
		if i < 0 {
			c := curve{setting: s}
			if first, ok := m.find(setting{"prefix", 1, 1, s.NoiseScale}); ok {
				c.results = append(c.results, first)
			}
			list, i = append(list, c), len(list)
		}
		list[i].results = append(list[i].results, r)
	}
	slices.SortStableFunc(list, func(a, b curve) int {
		return cmp.Or(-cmp.Compare(a.NoiseScale, b.NoiseScale), -strings.Compare(a.Sampler, b.Sampler), cmp.Compare(a.Draws, b.Draws))
	})
	return list
}

// at returns the bits a byte where the curve, from its highest temperature on, first falls to an entropy. Between results it
// is linear. It returns false where the curve does not reach that far.
func (c curve) at(entropy float64, judge string) (bits float64, ok bool) {
	for i := 1; i < len(c.results); i++ {
		a, b := c.results[i-1], c.results[i]
		if a.Entropy >= entropy && b.Entropy < entropy {
			w := (a.Entropy - entropy) / (a.Entropy - b.Entropy)
			return a.Bits[judge] + w*(b.Bits[judge]-a.Bits[judge]), true
		}
	}
	return 0, false
}

// above returns how many bits a byte the curve lies above another at equal entropy: the mean over the entropies that both reach
// below that of temperature 1. It returns false where there are none.
func (c curve) above(other curve, judge string) (mean float64, ok bool) {
	const points = 100
	low, high := c.reach()
	otherLow, otherHigh := other.reach()
	low, high = max(low, otherLow), min(high, otherHigh)
	n := 0
	for i := range points {
		entropy := low + (high-low)*(float64(i)+.5)/points
		a, ok := c.at(entropy, judge)
		b, also := other.at(entropy, judge)
		if ok && also {
			mean += a - b
			n++
		}
	}
	return mean / float64(max(1, n)), n > 0
}

// reach returns the lowest entropy of the curve, and that of its first result.
func (c curve) reach() (low, first float64) {
	first = c.results[0].Entropy
	low = first
	for _, r := range c.results {
		low = min(low, r.Entropy)
	}
	return low, first
}

// writeCSV writes a row for each result.
func writeCSV(path string, all []measured) error {
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.Write(strings.Split("model,sampler,draws,temperature,noise_scale,texts,bytes,bits_bytes,error_bytes,bits_bpe,error_bpe,entropy,distinct,repeated,draws_per_byte", ","))
	number := func(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }
	for _, m := range all {
		for _, s := range settings(m.Kind, m.ModelType) {
			r, ok := m.find(s)
			if !ok {
				continue
			}
			w.Write([]string{m.name(), s.Sampler, strconv.Itoa(s.Draws), number(s.Temperature, 3), number(s.NoiseScale, 2), strconv.Itoa(r.Texts), strconv.Itoa(r.Bytes),
				number(r.Bits["bytes"], 4), number(r.Error["bytes"], 4), number(r.Bits["bpe"], 4), number(r.Error["bpe"], 4),
				number(r.Entropy, 4), number(r.Distinct, 4), number(r.Repeated, 4), number(r.DrawsPerByte, 3)})
		}
	}
	w.Flush()
	return errors.Join(w.Error(), os.WriteFile(path, []byte(text.String()), 0o666))
}
