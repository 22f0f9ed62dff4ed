package main

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// judge is a token-level baseline that says how likely texts are.
type judge struct {
	model *run.Model
	name  string // of its vocabulary
}

func openJudge(dir string) (*judge, error) {
	m, err := run.Open(dir)
	if err != nil {
		return nil, err
	}
	if _, ok := m.Network.(*ar.Model); !ok || m.Tokenizer == nil {
		_ = m.Close()
		return nil, fmt.Errorf("%s is no baseline with a tokenizer: only that can judge", dir)
	}
	return &judge{m, vocabulary(m.VocabSize())}, nil
}

// vocabulary names a vocabulary by its size.
func vocabulary(size int) string {
	if size == tokenizer.Bytes().VocabSize() {
		return "bytes"
	}
	return "bpe"
}

// bits returns how many bits each text costs after its prompt: -log2 of its probability.
func (j *judge) bits(e *cpu.Engine, prompts, texts [][]byte) ([]float64, error) {
	tok := j.model.Tokenizer
	starts, rows, longest := make([]int, len(texts)), make([][]int32, len(texts)), 2
	for i, text := range texts {
		ids := tok.AppendEncode([]int32{tok.BOS()}, prompts[i])
		starts[i] = len(ids)
		rows[i] = tok.AppendEncode(ids, text)
		longest = max(longest, len(rows[i]))
	}
	m := j.model.Network.(*ar.Model)
	graph := m.Evaluation(len(rows), longest, 1)
	program := e.Compile(graph.Graph, cpu.Inference)
	batch := make([]int32, len(rows)*longest) // what stands after a text does not change its probability
	for i, ids := range rows {
		copy(batch[i*longest:], ids)
	}
	if err := graph.Fill(program, batch); err != nil {
		return nil, err
	}
	program.SetDraws(0, 0)
	if err := program.Forward(); err != nil {
		return nil, err
	}
	logP, sums := program.Floats(graph.Tokens.LogP), make([]float64, len(rows)) // [texts, longest-1]
	for i, ids := range rows {
		for at := starts[i]; at < len(ids); at++ {
			sums[i] -= float64(logP[i*(longest-1)+at-1]) / math.Ln2
		}
	}
	return sums, nil
}
