package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// options are those of package generate.
func (o GenerateOptions) options() generate.Options {
	g := generate.Options{Temperature: o.Temperature, Sampler: o.Sampler, Draws: o.Draws}
	if g.Temperature == 0 {
		g.Temperature = generate.Greedy
	}
	return g
}

// text is one stream of text, of a language model or of a baseline.
type text struct {
	name, decoded string // of the model, and with its head
	prompt, patch int    // in tokens
	flops         float64
	prefill       func() error // reads the prompt
	decode        func() error // draws a patch and reads it
	more          func(*Result)
}

// measure measures a language model's prefill and decode.
func (o GenerateOptions) measure(ctx context.Context, eng *cpu.Engine, name string, v variant, m *lm.Model, peak func(time.Duration) float64) error {
	forgetPeakRSS()
	s, err := newStream(eng, m, o)
	if err != nil {
		return err
	}
	positions := len(s.prompt) / m.Config.PatchSize
	t := text{name: name, decoded: name, prompt: len(s.prompt), patch: m.Config.PatchSize, prefill: s.prefill, decode: s.decode, more: s.report}
	t.flops = m.Reading(positions, positions).Weights().FLOPs // without attention
	if kind := m.HeadKind; kind.TakesSteps() {
		t.decoded = fmt.Sprintf("%s/%s-%d", name, kind.Name, m.Head.Steps())
	} else if kind.Name != head.Default().ModelType { // whose name is left out
		t.decoded += "/" + kind.Name
	}
	return o.measureText(ctx, eng, v, t, string(cmp.Or(o.Sampler, generate.Prefix)), peak)
}

// measureBaseline measures a token-level baseline's prefill and decode.
func (o GenerateOptions) measureBaseline(ctx context.Context, eng *cpu.Engine, name string, v variant, m *ar.Model, peak func(time.Duration) float64) error {
	forgetPeakRSS()
	s, err := newBaselineStream(eng, m, o)
	if err != nil {
		return err
	}
	t := text{name: name, decoded: name, prompt: len(s.prompt), patch: 1, prefill: s.prefill, decode: s.decode, more: s.report}
	t.flops = m.Reading(len(s.prompt), len(s.prompt)).Weights().FLOPs
	return o.measureText(ctx, eng, v, t, "", peak)
}

// measureText measures prefill, if the variant is a model's first, and decode. A sampler is named below temperature 1.
func (o GenerateOptions) measureText(ctx context.Context, eng *cpu.Engine, v variant, t text, sampler string, peak func(time.Duration) float64) error {
	threads, isa := eng.Threads(), eng.ISA().String()
	if v.first {
		prefill := &series{run: t.prefill, peak: fmaPeak(eng.ISA(), threads)}
		if err := measure(ctx, o.duration(), prefill); err != nil {
			return fmt.Errorf("bench generate %s: %w", t.name, err)
		}
		r := prefill.result("generate/prefill/"+t.name, plural.Count(t.prompt, "token"), threads, isa)
		r.arithmetic(t.flops, prefill.peaks)
		r.TokensPerS = float64(t.prompt) / r.MSMedian * 1e3
		o.Emit(r)
	} else if err := t.prefill(); err != nil {
		return fmt.Errorf("bench generate %s: %w", t.name, err)
	}

	decode := &series{run: t.decode, peak: peak}
	if err := measure(ctx, o.duration(), decode); err != nil {
		return fmt.Errorf("bench generate %s: %w", t.name, err)
	}
	shape := fmt.Sprintf("T=%g", o.Temperature)
	if o.Temperature < 1 && sampler != "" {
		shape += " " + sampler
	}
	r := decode.result("generate/decode/"+t.decoded, shape+", after "+plural.Count(t.prompt, "token"), threads, isa)
	r.TokensPerS = float64(t.patch) / r.MSMedian * 1e3
	t.more(&r)
	r.GBPerS = r.BytesPerStep / r.MSMedian / 1e6
	r.PeakGBPerS = median(decode.peaks) / 1e9
	r.PeakRSSMB = max(0, peakRSS()-readBytes/1e6) // without what the memory's rate is measured on
	o.Emit(r)
	return nil
}
