// Interchange writes what a run computes from random ids and noise, for check.py to compare with what the reference computes:
//
//	go run ./recipes/interchange RUN FILE
//
// FILE is safetensors. Tensors in.* are ids and random draws, tensors out.* are results; names and shapes are those of
// docs/golden.md. The metadata has texts with the ids that the run's tokenizer gives them.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: interchange RUN FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "interchange:", err)
		os.Exit(1)
	}
}

// The ids are of that many rows, and of patches patches each (of patches tokens for the baseline).
const rows, patches = 2, 12

// texts are encoded by the run's tokenizer and by the reference's.
var texts = []string{"Call me Ishmael.", "  two  spaces,\n\na blank line\t and a tab", "Käpt'n Ahab — Кит, 鯨 🐋", "1851: $1,000.00", ""}

func write(dir, path string) (err error) {
	m, err := run.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	e := cpu.New(cpu.Options{})
	defer e.Close()
	tensors, err := compute(e, m)
	if err != nil {
		return err
	}
	metadata := map[string]string{}
	if m.Tokenizer != nil {
		type encoded struct {
			Text string  `json:"text"`
			IDs  []int32 `json:"ids"`
		}
		var all []encoded
		for _, text := range texts {
			all = append(all, encoded{text, append([]int32{}, m.TextTokenizer().Encode(text)...)})
		}
		data, err := json.Marshal(all)
		if err != nil {
			return err
		}
		metadata["texts"] = string(data)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return checkpoint.Encode(w, tensors, metadata) })
}

// compute runs a model of any kind on random ids. The random draws are the engine's, with a fixed seed.
func compute(e *cpu.Engine, m *run.Model) ([]checkpoint.Tensor, error) {
	switch model := m.Network.(type) {
	case *autoencoder.Model:
		return autoencoderValues(e, model)
	case *ar.Model:
		return baselineValues(e, m, model)
	case *lm.Model:
		return languageModelValues(e, model)
	}
	return nil, fmt.Errorf("a model of kind %s: want ae, lm or ar", m.Kind)
}

// randomIDs returns n ids below vocab.
func randomIDs(n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = r.Int32N(int32(vocab))
	}
	return ids
}

// inputs returns ids as in.input_ids, [rows, len/rows].
func inputs(ids []int32) checkpoint.Tensor {
	t := checkpoint.Tensor{Name: "in.input_ids", Shape: []int{rows, len(ids) / rows}}
	for _, id := range ids {
		t.Ints = append(t.Ints, int64(id))
	}
	return t
}

// values runs a program and returns tensors of it, by name.
func values(p *cpu.Program, named map[string]*nn.Tensor) ([]checkpoint.Tensor, error) {
	p.SetDraws(1, 1)
	if err := p.Forward(); err != nil {
		return nil, err
	}
	var out []checkpoint.Tensor
	for name, t := range named {
		if t != nil {
			out = append(out, checkpoint.Tensor{Name: name, Shape: t.Shape(), Data: p.Floats(t)})
		}
	}
	return out, nil
}

// autoencoderValues: mean and log_std [P, Z] of the patches, logits [P, K, V] of the mean.
func autoencoderValues(e *cpu.Engine, m *autoencoder.Model) ([]checkpoint.Tensor, error) {
	k := m.Config.PatchSize
	ids := randomIDs(rows*patches*k, m.Config.VocabSize)
	g := nn.NewGraph()
	in := g.Ints("ids", rows*patches, k)
	q := m.Encode(g, in)
	logits := g.Linear(m.Decode(g, q.Mean), g.Param(m.Table()), nil, nn.LinearOptions{})
	g.Output(q.Mean, q.LogStd, logits)
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(in), ids)
	out, err := values(p, map[string]*nn.Tensor{"out.mean": q.Mean, "out.log_std": q.LogStd, "out.logits": logits})
	return append(out, inputs(ids)), err
}

// baselineValues: logits [B, T, V].
func baselineValues(e *cpu.Engine, m *run.Model, model *ar.Model) ([]checkpoint.Tensor, error) {
	ids := randomIDs(rows*patches, model.Config.VocabSize)
	tr := model.Training(rows, patches)
	logits := tr.Graph.Linear(tr.Hidden, tr.Graph.Param(m.Params.Get("lm_head.weight")), nil, nn.LinearOptions{})
	tr.Graph.Output(logits)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, ids); err != nil {
		return nil, err
	}
	out, err := values(p, map[string]*nn.Tensor{"out.logits": logits})
	return append(out, inputs(ids)), err
}

// languageModelValues: hidden states [B, L-1, D], the targets' mean and log_std [P, Z], and what the head's network gives,
// predictions [N, P, Z or 2Z], with the draws that it was given.
func languageModelValues(e *cpu.Engine, m *lm.Model) ([]checkpoint.Tensor, error) {
	tokens := patches * m.Config.PatchSize
	ids := randomIDs(rows*tokens, m.Config.VocabSize)
	tr := m.Training(rows, tokens)
	named := map[string]*nn.Tensor{"out.hidden": tr.Hidden, "out.mean": tr.Target.Mean, "out.log_std": tr.Target.LogStd,
		"out.predictions": tr.Head.Predictions, "in.noise": tr.Head.Noise, "in.target_eps": tr.Head.TargetEps, "in.times": tr.Head.Times}
	for _, t := range named {
		if t != nil {
			tr.Graph.Output(t)
		}
	}
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, ids, ids); err != nil {
		return nil, err
	}
	out, err := values(p, named)
	return append(out, inputs(ids)), err
}
