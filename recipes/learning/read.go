package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/train"
)

// settings are the keys of config.json in which the models differ. Runs with the same settings, but other seeds, are a group.
type settings struct {
	PatchSize        int     `json:"patch_size"`
	ModelType        string  `json:"model_type"`
	TokenLossWeight  float64 `json:"token_loss_weight"`
	TokenLossUntil   float64 `json:"token_loss_until"`
	NumMLPLayers     int     `json:"num_mlp_layers"`
	HeadLearningRate float64 `json:"head_learning_rate"`
	NumSamples       int     `json:"num_samples"`
	TargetSamples    int     `json:"target_samples"`
	MSEAnchor        float64 `json:"mse_anchor"`
	InitEmbeddings   string  `json:"init_embeddings"`
}

// trained is one run.
type trained struct {
	settings
	Seed     int `json:"seed"`
	MaxSteps int `json:"max_steps"`

	result lm.Measurement
	curve  []point // measurements during training, on 256 held-out blocks
}

// point is one measurement during training.
type point struct {
	Step        int      // steps made so far
	BrierLM     float64  // in percent; 0 where it was not measurable
	TokenBrier1 *float64 // Brier-1 of the distributions of the auxiliary token heads, in percent; nil without such heads
}

// group is the runs of one configuration, sorted by seed.
type group struct {
	settings
	runs []trained
}

// read reads the measured language models in the subdirectories of dir.
func read(dir string) ([]group, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "eval.json"))
	if err != nil {
		return nil, err
	}
	var groups []group
	for _, file := range files {
		r, err := readRun(filepath.Dir(file))
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.settings == r.settings })
		if i < 0 {
			groups, i = append(groups, group{settings: r.settings}), len(groups)
		}
		groups[i].runs = append(groups[i].runs, r)
	}
	for _, g := range groups {
		slices.SortFunc(g.runs, func(a, b trained) int { return cmp.Compare(a.Seed, b.Seed) })
	}
	return groups, nil
}

func readRun(dir string) (trained, error) {
	r := trained{settings: settings{TargetSamples: usual.TargetSamples}} // for heads without the key
	if err := readJSON(filepath.Join(dir, "config.json"), &r); err != nil {
		return r, err
	}
	var measured struct {
		LM *lm.Measurement `json:"lm"`
	}
	if err := readJSON(filepath.Join(dir, "eval.json"), &measured); err != nil {
		return r, err
	}
	if measured.LM == nil {
		return r, fmt.Errorf("%s/eval.json measures no language model", dir)
	}
	r.result = *measured.LM
	var err error
	r.curve, err = readCurve(dir)
	return r, err
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// score returns a BrierLM in percent. One that is not measurable counts as 0, as in a measurement's intervals.
func score[F ~float64](lm F) float64 {
	if lm != lm {
		return 0
	}
	return float64(lm)
}

func readCurve(dir string) (curve []point, err error) {
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			return nil, err
		}
		if line.Kind != train.EventMeasured {
			continue
		}
		p := point{Step: line.Step, BrierLM: score(line.Values["brier_lm"])}
		if b, ok := line.Values[metric.TokenBrier(0)]; ok {
			p.TokenBrier1 = &b
		}
		curve = append(curve, p)
	}
	return curve, nil
}
