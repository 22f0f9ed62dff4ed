package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/nn/cpu"
)

// options of measure.
type options struct {
	judges  []string
	texts   int
	bytes   int
	threads int
}

// human is the sampler of the setting that writes nothing: its texts are those of the book.
const human = "human"

// setting is a way to write.
type setting struct {
	Sampler     string  `json:"sampler"` // of calm.Options; human; "" for the baseline
	Draws       int     `json:"draws"`   // of a patch
	Temperature float64 `json:"temperature"`
	NoiseScale  float64 `json:"noise_scale"`
}

// result is a line of temperature.jsonl.
type result struct {
	setting
	Texts int                `json:"texts"`
	Bytes int                `json:"bytes"` // of all texts
	Bits  map[string]float64 `json:"bits"`  // a byte, by the vocabulary of the judge: the cross entropy
	Error map[string]float64 `json:"error"` // standard error of Bits, from the differences between texts
	diversity
	DrawsPerByte float64 `json:"draws_per_byte"`
	Seconds      float64 `json:"seconds"` // of writing
}

const resultsFile = "temperature.jsonl"

// temperatures are those below 1 that are measured.
var temperatures = []float64{.9, .7, .5, 1. / 3, 0}

// settings lists what is measured of a model, the most important first.
func settings(kind, modelType string) []setting {
	if kind == "ar" {
		list := []setting{{human, 0, 1, 1}}
		for _, t := range append([]float64{1}, temperatures...) {
			list = append(list, setting{"", 1, t, 1})
		}
		return list
	}
	list := []setting{{string(calm.Prefix), 1, 1, 1}}
	add := func(s calm.Sampler, draws int, noise float64) {
		for _, t := range temperatures {
			list = append(list, setting{string(s), draws, t, noise})
		}
	}
	add(calm.Prefix, 64, 1)
	add(calm.Batch, 200, 1)
	add(calm.Prefix, 32, 1)
	add(calm.Batch, 50, 1)
	add(calm.Prefix, 16, 1)
	add(calm.Prefix, 200, 1)
	if modelType == head.FlowType {
		list = append(list, setting{string(calm.Prefix), 1, 1, .7})
		add(calm.Prefix, 32, .7)
	}
	return list
}

// measure appends the settings of a run that are missing to its temperature.jsonl.
func measure(ctx context.Context, dir string, o options) error {
	about, err := config.Peek[struct {
		Kind      string `json:"kind"`
		ModelType string `json:"model_type"`
	}](filepath.Join(dir, checkpoint.ConfigFile))
	if err != nil {
		return err
	}
	done, err := readResults(filepath.Join(dir, resultsFile))
	if err != nil {
		return err
	}
	given, err := passages(ctx, o.texts, o.bytes)
	if err != nil {
		return err
	}
	w := &writer{dir: dir, options: o, passages: given, engine: cpu.New(cpu.Options{Threads: o.threads}), models: map[float64]*calm.Model{}}
	defer w.close()
	for _, judge := range o.judges {
		j, err := openJudge(judge)
		if err != nil {
			return err
		}
		w.judges = append(w.judges, j)
	}
	for _, s := range settings(about.Kind, about.ModelType) {
		if slices.ContainsFunc(done, func(r result) bool { return r.setting == s && r.Texts == o.texts }) {
			continue
		}
		r, err := w.measure(ctx, s)
		if err == nil {
			err = appendResult(filepath.Join(dir, resultsFile), r)
		}
		if err != nil {
			return fmt.Errorf("%s, %+v: %w", dir, s, err)
		}
		fmt.Printf("%s %+v: %v bits a byte, entropy %.2f, %.1f s\n", dir, s, r.Bits, r.Entropy, r.Seconds)
	}
	return nil
}

// readResults reads a file of results; a file that does not exist has none.
func readResults(path string) (list []result, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; err == nil && lines.Scan(); n++ {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		list = append(list, r)
	}
	return list, errors.Join(err, lines.Err())
}

func appendResult(path string, r result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// writer writes and judges the texts of a run.
type writer struct {
	options
	dir      string
	passages []passage
	engine   *cpu.Engine // of the judges
	judges   []*judge
	models   map[float64]*calm.Model // the run, by the scale of the noise
}

func (w *writer) close() {
	for _, m := range w.models {
		_ = m.Close() // it was only read
	}
	for _, j := range w.judges {
		_ = j.model.Close()
	}
	w.engine.Close()
}

func (w *writer) measure(ctx context.Context, s setting) (result, error) {
	r := result{setting: s, Texts: len(w.passages), Bits: map[string]float64{}, Error: map[string]float64{}}
	var prompts, texts [][]byte
	start, draws := time.Now(), 0
	for i, p := range w.passages {
		text, n := p.text, 0
		if s.Sampler != human {
			var err error
			if text, n, err = w.write(ctx, s, p.prompt, uint64(i)); err != nil {
				return r, err
			}
		}
		prompts, texts = append(prompts, p.prompt), append(texts, text)
		draws += n
		r.Bytes += len(text)
	}
	if r.Bytes == 0 {
		return r, errors.New("all texts are empty")
	}
	r.Seconds, r.DrawsPerByte, r.diversity = time.Since(start).Seconds(), float64(draws)/float64(r.Bytes), diversityOf(texts)
	for _, j := range w.judges {
		bits, err := j.bits(w.engine, prompts, texts)
		if err != nil {
			return r, err
		}
		r.Bits[j.name], r.Error[j.name] = rate(bits, texts)
	}
	return r, nil
}

// rate returns bits a byte, and the standard error of this ratio over texts.
func rate(bits []float64, texts [][]byte) (mean, err float64) {
	sum, size := 0., 0.
	for i, b := range bits {
		sum += b
		size += float64(len(texts[i]))
	}
	mean = sum / size
	for i, b := range bits {
		d := b - mean*float64(len(texts[i]))
		err += d * d
	}
	n := float64(len(bits))
	return mean, math.Sqrt(err*n/max(1, n-1)) / size
}

// write returns the text after a prompt, cut to the number of bytes, and how many draws it took.
func (w *writer) write(ctx context.Context, s setting, prompt []byte, seed uint64) (text []byte, draws int, err error) {
	m, err := w.model(s.NoiseScale)
	if err != nil {
		return nil, 0, err
	}
	o := calm.Options{Temperature: s.Temperature, Sampler: calm.Sampler(s.Sampler), Seed: seed}
	if s.Temperature == 0 {
		o.Temperature = calm.Greedy
	}
	if s.Draws > 1 {
		o.Draws = s.Draws
	}
	g := m.Generate(ctx, string(prompt), o)
	for chunk, err := range g.Chunks() {
		if err != nil {
			return nil, 0, err
		}
		if text = m.Tokenizer().AppendDecode(text, chunk.Tokens); len(text) >= w.bytes {
			text = text[:w.bytes]
			break
		}
	}
	return text, g.Result().Draws, nil
}

// model opens the run with a scale of the noise.
func (w *writer) model(scale float64) (*calm.Model, error) {
	if m := w.models[scale]; m != nil {
		return m, nil
	}
	var set []string
	if scale != 1 {
		set = append(set, fmt.Sprintf("noise_scale=%g", scale))
	}
	m, err := calm.Open(w.dir, calm.Threads(w.threads), calm.Set(set...))
	if err != nil {
		return nil, err
	}
	w.models[scale] = m
	return m, nil
}
