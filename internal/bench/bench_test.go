package bench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/run"
)

// collect returns options for a measurement of a few milliseconds on two threads, and the list that receives its results.
func collect() (Options, *[]Result) {
	var list []Result
	return Options{Threads: 2, Seconds: .005, Emit: func(r Result) { list = append(list, r) }}, &list
}

var tiny = []string{"hidden_size=16", "intermediate_size=24", "vocab_size=40", "bos_token_id=37", "eos_token_id=38"}

// tinySets returns settings that make a preset of a kind small.
func tinySets(kind run.Kind) []string {
	sets := slices.Clone(tiny)
	if kind != run.AE {
		sets = append(sets, "num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1")
	}
	if kind != run.AR {
		sets = append(sets, "pad_token_id=39", "latent_size=8")
	}
	if kind == run.LM {
		sets = append(sets, "num_samples=2", "target_samples=4")
	}
	return sets
}

// keys returns the keys of a result as JSON, sorted.
func keys(t *testing.T, r Result) []string {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	var list []string
	for k, v := range m {
		list = append(list, k)
		if x, ok := v.(float64); ok && (x <= 0 || math.IsInf(x, 0)) {
			t.Errorf("%s: %s is %v", r.Name, k, x)
		}
	}
	slices.Sort(list)
	return list
}

// wantKeys checks that a result has the keys of all results and those in more, which are separated by spaces.
func wantKeys(t *testing.T, r Result, more string) {
	t.Helper()
	want := append(strings.Fields("isa ms_median name runs shape threads"), strings.Fields(more)...)
	slices.Sort(want)
	if got := keys(t, r); !slices.Equal(got, want) {
		t.Errorf("%s has the keys\n%v, want\n%v", r.Name, got, want)
	}
}

func TestTrain(t *testing.T) {
	for _, c := range []struct {
		kind   run.Kind
		preset string
	}{{run.AE, "ae-bytes"}, {run.LM, "lm-bytes"}, {run.AR, "ar-bytes"}} {
		o, list := collect()
		err := Train(t.Context(), TrainOptions{Options: o, Presets: []string{c.preset}, Set: tinySets(c.kind), Batch: 2, Tokens: 32})
		if err != nil || len(*list) != 1 {
			t.Fatalf("%s: %v, %d results", c.preset, err, len(*list))
		}
		r := (*list)[0]
		wantKeys(t, r, "flops gflops peak_gflops fraction_of_peak tokens_per_s peak_rss_mb")
		if r.Name != "train/"+c.preset || r.Shape != "2x32" || r.Threads != 2 {
			t.Errorf("%+v", r)
		}
		near(t, "gflops", r.GFLOPs, r.FLOPs/r.MSMedian/1e6)
		near(t, "fraction_of_peak", r.FractionOfPeak, r.GFLOPs/r.PeakGFLOPs)
		near(t, "tokens_per_s", r.TokensPerS, 64/r.MSMedian*1e3)
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

// TestProfile checks that the lines of a profile add up to the step.
func TestProfile(t *testing.T) {
	o, list := collect()
	o.Seconds = .1
	err := Train(t.Context(), TrainOptions{Options: o, Model: run.LM, Presets: []string{"lm-bytes"}, Set: tinySets(run.LM), Batch: 2, Tokens: 32, Profile: true})
	if err != nil {
		t.Fatal(err)
	}
	sum, names := 0.0, map[string]bool{}
	for _, r := range (*list)[1:] {
		sum += r.Share
		kind, ok := strings.CutPrefix(r.Name, "train/lm-bytes/")
		if names[kind] = true; !ok || r.Shape == "" || r.Runs != (*list)[0].Runs {
			t.Errorf("%+v", r)
		}
	}
	for _, want := range []string{"Linear", "Attention", "EnergyScore", "RMSNorm", "random draws", "optimizer"} {
		if !names[want] {
			t.Errorf("no line for %s in %v", want, names)
		}
	}
	// Medians of parts need not add up to the median of the whole.
	if sum < .5 || sum > 1.5 {
		t.Errorf("the shares add up to %g", sum)
	}
}

func TestTokenizer(t *testing.T) {
	o, list := collect()
	if err := Tokenizer(t.Context(), TokenizerOptions{Options: o, Vocab: 300, Data: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range *list {
		names = append(names, r.Name)
		wantKeys(t, r, "mb_per_s tokens_per_s")
	}
	if want := strings.Fields("tokenizer/encode/bytes tokenizer/decode/bytes tokenizer/encode/bpe tokenizer/decode/bpe"); !slices.Equal(names, want) {
		t.Errorf("measured %v, want %v", names, want)
	}
}

// TestUsage checks that wrong options are reported as mistakes in the user's input, before any measurement.
func TestUsage(t *testing.T) {
	train := func(change func(*TrainOptions)) func(Options) error {
		return func(o Options) error {
			c := TrainOptions{Options: o}
			change(&c)
			return Train(t.Context(), c)
		}
	}
	write := func(change func(*GenerateOptions)) func(Options) error {
		return func(o Options) error {
			c := GenerateOptions{Options: o, Prompt: 16, Temperature: 1, Set: tinySets(run.LM), Presets: []string{"lm-bytes"}}
			change(&c)
			return Generate(t.Context(), c)
		}
	}
	brierOf := func(change func(*BrierOptions)) func(Options) error {
		return func(o Options) error {
			c := BrierOptions{Options: o, Presets: []string{"lm-bytes"}, Set: tinyBrier(run.LM, "2"), Blocks: 1, Tokens: 24}
			change(&c)
			return Brier(t.Context(), c)
		}
	}
	for name, f := range map[string]func(Options) error{
		"no blocks":           brierOf(func(o *BrierOptions) { o.Blocks = 0 }),
		"too many blocks":     brierOf(func(o *BrierOptions) { o.Blocks = 1 << 20 }),
		"part of a patch":     brierOf(func(o *BrierOptions) { o.Tokens = 25 }),
		"short blocks":        brierOf(func(o *BrierOptions) { o.Tokens = 6 }),
		"whole n-grams":       brierOf(func(o *BrierOptions) { o.Set = tinyBrier(run.LM, "4") }),
		"small vocabulary":    brierOf(func(o *BrierOptions) { o.Set = append(tinySets(run.LM), "patch_size=2") }),
		"no scores":           brierOf(func(o *BrierOptions) { o.Presets, o.Set = []string{"ae-bytes"}, nil }),
		"a run and settings":  brierOf(func(o *BrierOptions) { o.Run = t.TempDir() }),
		"no such preset":      train(func(o *TrainOptions) { o.Presets = []string{"lm-bytes", "big"} }),
		"preset of two kinds": train(func(o *TrainOptions) { o.Presets = []string{"quickstart"} }),
		"preset of another":   train(func(o *TrainOptions) { o.Model, o.Presets = run.AE, []string{"lm-bytes"} }),
		"no such kind":        train(func(o *TrainOptions) { o.Model = "vae" }),
		"kind of a preset":    train(func(o *TrainOptions) { o.Model, o.Presets = "vae", []string{"lm-bytes"} }),
		"batch":               train(func(o *TrainOptions) { o.Batch = -1 }),
		"key":                 train(func(o *TrainOptions) { o.Presets, o.Set = []string{"lm-bytes"}, []string{"colour=1"} }),
		"blocks":              train(func(o *TrainOptions) { o.Presets, o.Tokens = []string{"lm-bytes"}, 6 }),
		"threads":             train(func(o *TrainOptions) { o.Threads = -1 }),
		"seconds":             train(func(o *TrainOptions) { o.Seconds = 0 }),
		"peer of a change":    train(func(o *TrainOptions) { o.Presets, o.Peer, o.Batch = []string{"lm-bytes"}, peerFile(t, peerLine), 2 }),
		"peer of others":      train(func(o *TrainOptions) { o.Presets, o.Peer = []string{"ae-bytes"}, peerFile(t, peerLine) }),
		"peer on threads":     train(func(o *TrainOptions) { o.Presets, o.Peer, o.Threads = []string{"lm-bytes"}, peerFile(t, peerLine), 1 }),
		"peer of text":        train(func(o *TrainOptions) { o.Presets, o.Peer = []string{"lm-bytes"}, peerFile(t, "48 ms") }),
		"no peer":             train(func(o *TrainOptions) { o.Presets, o.Peer = []string{"lm-bytes"}, t.TempDir() }),
		"endless":             train(func(o *TrainOptions) { o.Seconds = math.NaN() }),
		"products of none":    func(o Options) error { return Gemm(t.Context(), GemmOptions{Options: o, Presets: []string{"big"}}) },
		"vocabulary":          func(o Options) error { return Tokenizer(t.Context(), TokenizerOptions{Options: o, Vocab: 3}) },
		"temperature":         write(func(o *GenerateOptions) { o.Temperature = 1.5 }),
		"sampler":             write(func(o *GenerateOptions) { o.Sampler = "greedy" }),
		"no prompt":           write(func(o *GenerateOptions) { o.Prompt = 0 }),
		"long prompt":         write(func(o *GenerateOptions) { o.Prompt = 1 << 20 }),
		"not for writing":     write(func(o *GenerateOptions) { o.Presets = []string{"ae-bytes"} }),
		"dtype":               write(func(o *GenerateOptions) { o.Set = append(o.Set, "dtype=int4") }),
		"load a run":          write(func(o *GenerateOptions) { o.Run, o.Presets, o.Set, o.Load = t.TempDir(), nil, nil, true }),
		"no such head":        write(func(o *GenerateOptions) { o.Heads = []string{"flow", "gan"} }),
		"one step":            write(func(o *GenerateOptions) { o.Heads, o.Steps = []string{"diffusion"}, []int{4, 1} }),
		"run and head":        write(func(o *GenerateOptions) { o.Run, o.Presets, o.Heads = t.TempDir(), nil, []string{"flow"} }),
		"no run":              write(func(o *GenerateOptions) { o.Run, o.Presets, o.Set = t.TempDir(), nil, nil }),
		"run and preset":      write(func(o *GenerateOptions) { o.Run = t.TempDir() }),
	} {
		o, list := collect()
		err := f(o)
		var (
			use    *run.UsageError
			keys   *config.Error
			inputs *generate.InputError
		)
		if !errors.As(err, &use) && !errors.As(err, &keys) && !errors.As(err, &inputs) {
			t.Errorf("%s: %v", name, err)
		}
		if len(*list) > 0 {
			t.Errorf("%s: measured %v", name, *list)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	s := &series{run: func() error {
		if runs++; runs == 3 {
			cancel()
		}
		return nil
	}}
	if err := measure(ctx, time.Hour, s); !errors.Is(err, context.Canceled) || runs != 3 {
		t.Errorf("%v after %d runs", err, runs)
	}
}

// TestMeasure checks that each series has at least one run after the one that warms up, that series take turns until their time is
// up, and that errors are returned.
func TestMeasure(t *testing.T) {
	slow := &series{run: func() error { time.Sleep(5 * time.Millisecond); return nil }, peak: func(time.Duration) float64 { return 7 }}
	quick := &series{run: func() error { time.Sleep(time.Millisecond); return nil }}
	if err := measure(t.Context(), time.Nanosecond, slow, quick); err != nil {
		t.Fatal(err)
	}
	if len(slow.times) != 1 || len(quick.times) != 1 || len(slow.peaks) != 2 || len(quick.peaks) != 0 {
		t.Errorf("%+v %+v", slow, quick)
	}
	if slow.times[0] < 5 || quick.times[0] < 1 {
		t.Errorf("runs took %v and %v ms", slow.times, quick.times)
	}
	slow = &series{run: func() error { time.Sleep(60 * time.Millisecond); return nil }}
	quick = &series{run: quick.run}
	if err := measure(t.Context(), 50*time.Millisecond, slow, quick); err != nil || len(slow.times) != 1 || len(quick.times) < 2 {
		t.Errorf("%d slow runs, %d quick ones in 50 ms, %v", len(slow.times), len(quick.times), err)
	}
	failed := errors.New("failed")
	if err := measure(t.Context(), time.Second, &series{run: func() error { return failed }}); err != failed {
		t.Error(err)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %g", c.values, got)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	table := &Table{W: &b}
	table.Print(Result{Name: "train/x", Shape: "4x128", Threads: 2, MSMedian: 2, Runs: 3, GFLOPs: 50, PeakGFLOPs: 100, FractionOfPeak: .5,
		Peer: "PyTorch 2 on Zen", PeerMS: 48, PeerLoad: 1.5, OverPeer: 24})
	table.Print(Result{Name: "train/x/Linear", Shape: "1x2x3", Threads: 2, MSMedian: 1, Runs: 3, Count: 4, ForwardMS: .25, BackwardMS: .75, Share: .5})
	table.Print(Result{Name: "brier/x", Shape: "K=2, 4x128", Threads: 2, MSMedian: 2, Runs: 3, Speedup: 12, LoopMS: 24, OverCachedLoop: 3, CachedLoopMS: 6, Rollouts: .5})
	text := b.String()
	for _, want := range []string{"12 x a loop over positions (24 ms)", "3 x one with a cache (6 ms)", "0.5 rollouts", "median ms", "50 GFLOP/s = 50 % of 100", "PyTorch 2 on Zen 48 ms (load 1.5): calm is 24.00 x as fast", "Linear x4", "50.0 % of the step", "0.25 ms forward"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}
