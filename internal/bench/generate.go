package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// GenerateOptions say what to write with.
type GenerateOptions struct {
	Options
	Run         string           // a language model's run, or "" for presets with random weights
	Presets     []string         // none for defaultGenerate
	Set         []string         // key=value, dtype among them; with a run of that and of head.SamplingKeys alone
	Load        bool             // write random weights to a run first, and measure opening it
	Heads       []string         // values of model_type to measure one after the other; none for the configuration's
	Steps       []int            // of sampling_steps, likewise, for heads that have the key
	Prompt      int              // tokens read before, rounded up to patches
	Temperature float64          // in [0, 1]
	Sampler     generate.Sampler // below temperature 1; "" for prefix
	Draws       int              // of a patch below temperature 1, see generate.Options; 0 for the sampler's default
}

// defaultGenerate is what Generate measures unasked.
var defaultGenerate = []string{"lm-bytes", "lm-proto"}

// Generate measures one stream of text: prefill is reading a prompt, decode is a patch (with the baseline a token) read and
// the next one drawn, end of text not minded. Beside decode stands the rate at which memory is read, its ceiling where the
// weights are larger than the caches.
//
// Below temperature 1 the work depends on how alike a model's draws are: see typical for random weights.
func Generate(ctx context.Context, o GenerateOptions) error {
	dtype, err := o.validate()
	if err != nil {
		return err
	}
	eng := o.engine(o.Threads)
	defer eng.Close()
	peak := readPeak(eng.ISA(), eng.Threads())
	if o.Run != "" {
		for _, v := range o.variants() {
			if err := o.measureRun(ctx, eng, dtype, v, peak); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range o.names() {
		for _, v := range o.variants() {
			m, err := newModel(name, run.LM, false, v.set)
			if err != nil {
				return err
			}
			m.randomize()
			if o.Load {
				if err := o.measureLoad(ctx, eng, m, dtype, v, peak); err != nil {
					return err
				}
				continue
			}
			m.narrow(dtype)
			if err := o.measure(ctx, eng, name, v, m.Network.(*lm.Model), peak); err != nil {
				return err
			}
		}
	}
	return nil
}

// narrow rounds the weights to a number format.
func (m *model) narrow(d run.DType) {
	switch d {
	case run.BFloat16:
		m.Params.RoundToBF16()
	case run.Int8:
		m.Params.QuantizeToInt8()
	}
}

// variant is one way to draw.
type variant struct {
	set   []string
	first bool // of a model: reading a prompt does not depend on the head
}

// variants lists the heads and numbers of steps to measure, each with its assignments.
func (o GenerateOptions) variants() []variant {
	heads, steps := o.Heads, o.Steps
	if len(heads) == 0 {
		heads = []string{""}
	}
	if len(steps) == 0 {
		steps = []int{0}
	}
	var all []variant
	for _, h := range heads {
		for i, n := range steps {
			kind, known := head.Lookup(h)
			fixed := known && !kind.TakesSteps()
			if fixed && i > 0 {
				break
			}
			v := variant{set: append([]string{}, o.Set...), first: len(all) == 0}
			if h != "" {
				v.set = append(v.set, "model_type="+h)
			}
			if n > 0 && !fixed {
				v.set = append(v.set, fmt.Sprintf("%s=%d", head.SamplingSteps, n))
			}
			all = append(all, v)
		}
	}
	return all
}

// measureRun measures the run.
func (o GenerateOptions) measureRun(ctx context.Context, eng *cpu.Engine, d run.DType, v variant, peak func(time.Duration) float64) error {
	m, err := run.Open(o.Run, append(v.set, "dtype="+string(d))...)
	if err != nil {
		return err
	}
	defer m.Close()
	switch network := m.Network.(type) {
	case *lm.Model:
		return o.measure(ctx, eng, filepath.Base(o.Run), v, network, peak)
	case *ar.Model:
		return o.measureBaseline(ctx, eng, filepath.Base(o.Run), v, network, peak)
	}
	return usage("bench generate: %s is a run of kind %s, want a language model's (lm) or a baseline's (ar)", o.Run, m.Kind)
}

func (o GenerateOptions) names() []string {
	if len(o.Presets) > 0 {
		return o.Presets
	}
	return defaultGenerate
}

// validate takes what says how weights are held out of Set.
func (o *GenerateOptions) validate() (run.DType, error) {
	dtype, others, err := run.SplitDType(o.Set)
	o.Set = others
	return dtype, errors.Join(err, o.check())
}

func (o GenerateOptions) check() error {
	if err := o.Validate(); err != nil {
		return err
	}
	switch {
	case !(o.Temperature >= 0 && o.Temperature <= 1):
		return usage("--temperature %g: want 0 to 1", o.Temperature)
	case slices.ContainsFunc(o.Steps, func(n int) bool { return n < 1 }):
		return usage("--steps %v: want 1 or more", o.Steps)
	case o.Prompt < 1 || o.Prompt > config.MaxTokens:
		return usage("--prompt %d: want 1 to %d tokens", o.Prompt, config.MaxTokens)
	case o.Sampler != "" && !slices.Contains(generate.Samplers(), o.Sampler):
		return usage("--sampler %q: want %q, %q or %q", o.Sampler, generate.Prefix, generate.Batch, generate.Exact)
	case o.Draws < 0 || o.Draws > generate.MaxDraws:
		return usage("--draws %d: want 0 to %d", o.Draws, generate.MaxDraws)
	case o.Temperature == 1 && (o.Draws > 0 || o.Sampler == generate.Batch || o.Sampler == generate.Prefix):
		return usage("--sampler and --draws: at --temperature 1 a patch takes one draw: leave them out, or take a temperature below 1")
	case o.Run != "" && (len(o.Presets) > 0 || len(o.Heads) > 0 || o.Load):
		return usage("--preset, --head and --load are for random weights: leave them out with the run %s", o.Run)
	}
	if o.Run != "" {
		return o.validateRun()
	}
	for _, name := range o.names() {
		for _, v := range o.variants() {
			if _, err := newModel(name, run.LM, false, v.set); err != nil {
				return err
			}
		}
	}
	return nil
}

// validateRun refuses ways to draw that the run's head does not have, before anything is measured. A run that cannot be
// read is left to run.Open.
func (o GenerateOptions) validateRun() error {
	c, err := config.Peek[head.Config](filepath.Join(o.Run, checkpoint.ConfigFile))
	if err != nil || c.ModelType == "" {
		return nil
	}
	for _, v := range o.variants() {
		set, err := config.Set(c, v.set)
		if err == nil {
			err = set.Validate()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
