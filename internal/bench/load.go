package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// measureLoad writes a model as a run, and measures the time to open it and to write a first patch, as `calm generate` does. The
// file is in the system's cache. The further measurements use the opened weights.
func (o GenerateOptions) measureLoad(ctx context.Context, eng *cpu.Engine, m *model, d run.DType, v variant, peak func(time.Duration) float64) (err error) {
	dir, err := os.MkdirTemp("", "calm-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := m.save(filepath.Join(dir, "run")); err != nil {
		return err
	}
	m.Params.Release()
	forgetPeakRSS()
	start := time.Now()
	opened, err := run.Open(filepath.Join(dir, "run"), "dtype="+string(d))
	if err != nil {
		return err
	}
	defer opened.Close()
	open := time.Since(start)
	l := opened.Network.(*lm.Model)
	g, err := generate.New(eng, l, opened.Tokenizer, nil)
	if err != nil {
		return err
	}
	defer g.Close()
	text, err := g.Text(nil, generate.Options{Seed: 1})
	if err != nil {
		return err
	}
	if _, err := text.Next(ctx); err != nil {
		return err
	}
	first := milliseconds(time.Since(start))
	g.Close() // it writes ahead, and what is measured next needs the engine
	o.Emit(Result{Name: "generate/open/" + m.name, Shape: string(d), Threads: eng.Threads(), ISA: eng.ISA().String(), MSMedian: milliseconds(open), Runs: 1})
	o.Emit(Result{Name: "generate/first/" + m.name, Shape: string(d) + ", opened", Threads: eng.Threads(), ISA: eng.ISA().String(), MSMedian: first, Runs: 1,
		PeakRSSMB: max(0, peakRSS()-readBytes/1e6)})
	return o.measure(ctx, eng, m.name, v, l, peak)
}

// save writes a language model as a run that was imported without a tokenizer, since there is none of the model's vocabulary.
func (m *model) save(dir string) error {
	r, err := checkpoint.CreateRun(dir)
	if err != nil {
		return err
	}
	var tensors []checkpoint.Tensor
	for _, p := range m.Params.All() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Data})
	}
	m.Imported = "random weights"
	ae := run.AEConfig{Common: *m.Common, AutoencoderConfig: m.Autoencoder().Config}
	ae.Kind = run.AE
	encoded, err := config.Encode(ae)
	err = errors.Join(err,
		r.AddBytes(checkpoint.AutoencoderIn+"/"+checkpoint.ConfigFile, encoded),
		r.Add(checkpoint.ModelFile, func(w io.Writer) error { return checkpoint.Encode(w, tensors, nil) }))
	if err == nil {
		err = r.WriteConfig(m.Config())
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("write random weights to %s: %w", dir, err)
	}
	return nil
}
