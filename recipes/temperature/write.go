package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
)

// human is the sampler of the setting that writes nothing: its texts are those of the book.
const human = "human"

// setting is a way to write.
type setting struct {
	Sampler     string  `json:"sampler"` // of calm.Options; human; "" for the baseline
	Draws       int     `json:"draws"`   // of a patch
	Temperature float64 `json:"temperature"`
	NoiseScale  float64 `json:"noise_scale"`
}

// written is a line of texts.jsonl.
type written struct {
	setting
	Size    int      `json:"size"`  // bytes that a text has at most
	Texts   [][]byte `json:"texts"` // text i follows the prompt of passage i
	Drawn   int      `json:"drawn"` // draws of all texts
	Seconds float64  `json:"seconds"`
}

const textsFile = "texts.jsonl"

// temperatures are those below 1 that are measured.
var temperatures = []float64{.9, .7, .6, .5, 1. / 3, 0}

// settings lists what is written with a model, the most important first.
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
	if modelType == head.FlowType {
		list = append(list, setting{string(calm.Prefix), 1, 1, .7})
		add(calm.Prefix, 32, .7)
	}
	add(calm.Prefix, 200, 1)
	return list
}

// about are the keys of config.json that tell runs apart.
type about struct {
	Kind      string `json:"kind"`
	ModelType string `json:"model_type"`
	PatchSize int    `json:"patch_size"`
	VocabSize int    `json:"vocab_size"`
}

func aboutRun(dir string) (about, error) {
	return config.Peek[about](filepath.Join(dir, checkpoint.ConfigFile))
}

// write writes n texts of a size with each setting of a run that is missing in its texts.jsonl.
func write(ctx context.Context, dir string, n, size, threads int) error {
	a, err := aboutRun(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, textsFile)
	done, err := readLines[written](path)
	if err != nil {
		return err
	}
	given, err := passages(ctx, n, size)
	if err != nil {
		return err
	}
	w := &writer{dir: dir, threads: threads, models: map[float64]*calm.Model{}}
	defer w.close()
	for _, s := range settings(a.Kind, a.ModelType) {
		if slices.ContainsFunc(done, func(o written) bool { return o.setting == s && o.Size == size && len(o.Texts) == n }) {
			continue
		}
		line, err := w.all(ctx, s, given, size)
		if err == nil {
			err = appendLine(path, line)
		}
		if err != nil {
			return fmt.Errorf("%s, %+v: %w", dir, s, err)
		}
		fmt.Printf("%s %+v: %d draws, %.1f s\n", dir, s, line.Drawn, line.Seconds)
	}
	return nil
}

// writer writes texts with a run.
type writer struct {
	dir     string
	threads int
	models  map[float64]*calm.Model // the run, by the scale of the noise
}

func (w *writer) close() {
	for _, m := range w.models {
		_ = m.Close() // it was only read
	}
}

// all writes a text after each prompt.
func (w *writer) all(ctx context.Context, s setting, given []passage, size int) (written, error) {
	line, start := written{setting: s, Size: size}, time.Now()
	for i, p := range given {
		text, drawn := p.text, 0
		if s.Sampler != human {
			var err error
			if text, drawn, err = w.one(ctx, s, p.prompt, size, uint64(i)); err != nil {
				return line, err
			}
		}
		line.Texts = append(line.Texts, text)
		line.Drawn += drawn
	}
	line.Seconds = time.Since(start).Seconds()
	return line, nil
}

// one returns the text after a prompt, cut to the number of bytes, and how many draws it took.
func (w *writer) one(ctx context.Context, s setting, prompt []byte, size int, seed uint64) (text []byte, drawn int, err error) {
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
		if text = m.Tokenizer().AppendDecode(text, chunk.Tokens); len(text) >= size {
			text = text[:size]
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
