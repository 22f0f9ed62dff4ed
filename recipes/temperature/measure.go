package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/nn/cpu"
)

// result is a line of judged.jsonl.
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

const judgedFile = "judged.jsonl"

// judgeRun measures the texts of a run and writes its judged.jsonl.
func judgeRun(ctx context.Context, dir string, judges []string, threads int) error {
	texts, err := readLines[written](filepath.Join(dir, textsFile))
	if err != nil {
		return err
	}
	if len(texts) == 0 {
		return fmt.Errorf("%s has no texts: write some first", dir)
	}
	e := cpu.New(cpu.Options{Threads: threads})
	defer e.Close()
	var panel []*judge
	for _, dir := range judges {
		j, err := openJudge(dir)
		if err != nil {
			return err
		}
		defer j.model.Close()
		panel = append(panel, j)
	}
	var out bytes.Buffer
	given := map[[2]int][]passage{} // by number and size
	for _, line := range texts {
		key := [2]int{len(line.Texts), line.Size}
		if given[key] == nil {
			if given[key], err = passages(ctx, key[0], key[1]); err != nil {
				return fmt.Errorf("%s, %+v: %w", dir, line.setting, err)
			}
		}
		r, err := measure(e, panel, line, given[key])
		if err != nil {
			return fmt.Errorf("%s, %+v: %w", dir, line.setting, err)
		}
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		out.Write(append(data, '\n'))
	}
	return atomicfile.Write(filepath.Join(dir, judgedFile), func(w io.Writer) error {
		_, err := w.Write(out.Bytes())
		return err
	})
}

// measure returns how likely and how varied texts are, each of which continues the prompt of a passage.
func measure(e *cpu.Engine, judges []*judge, line written, given []passage) (result, error) {
	r := result{setting: line.setting, Texts: len(line.Texts), Bits: map[string]float64{}, Error: map[string]float64{},
		diversity: diversityOf(line.Texts), Seconds: line.Seconds}
	var prompts [][]byte
	for i, p := range given {
		prompts = append(prompts, p.prompt)
		r.Bytes += len(line.Texts[i])
	}
	if r.Bytes == 0 {
		return r, fmt.Errorf("all texts are empty")
	}
	r.DrawsPerByte = float64(line.Drawn) / float64(r.Bytes)
	for _, j := range judges {
		bits, err := j.bits(e, prompts, line.Texts)
		if err != nil {
			return r, err
		}
		r.Bits[j.name], r.Error[j.name] = rate(bits, line.Texts)
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
