package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/bench"
	"github.com/calm-go/calm/run"
)

// benchFlags are the flags of all measurements.
type benchFlags struct {
	threads int
	isa     string
	seconds float64
	asJSON  bool
	quick   bool // only for bench all
}

func newBench() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench [gemm|train|generate|serve|brier|tokenizer|all]",
		Short: "Measure speed: matrix products, training steps, generation, serving, BrierLM, tokenizers",
		Long: `Measure how fast calm is on this machine. Each rate is shown with the machine's peak: its highest rate of multiply-adds, or
of reading memory. The peak is measured alternately with the rate, on the same number of threads. Times are medians.
Without a name, or with all, calm measures a little of everything, in about half a minute.`,
		Example: `  calm bench
  calm bench train --preset lm-bytes --profile
  calm bench gemm --threads 2 --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return onlyHelp(cmd, args)
			}
			return benchAll(cmd, f)
		},
	}
	fl := cmd.PersistentFlags()
	numberFlag(fl, &f.threads, "threads", 0, "compute on `N` threads; 0 for all processors")
	fl.StringVar(&f.isa, "isa", "", "instruction `SET`: portable, avx2 or avx512 (default: the best of this machine)")
	numberFlag(fl, &f.seconds, "seconds", 0, "seconds for each measurement; at least one run is made (default: .05 to 3)")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON object for each result")
	cmd.AddCommand(newBenchGemm(f), newBenchTrain(f), newBenchGenerate(f), newBenchServe(f), newBenchBrier(f), newBenchTokenizer(f), newBenchAll(f))
	quickFlag(cmd, f)
	return cmd
}

func newBenchAll(f *benchFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "all",
		Short:   "Measure a little of everything",
		Example: "  calm bench all --json\n  calm bench all --quick",
		Args:    exactly(0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return benchAll(cmd, f) },
	}
	quickFlag(cmd, f)
	return cmd
}

func quickFlag(cmd *cobra.Command, f *benchFlags) {
	cmd.Flags().BoolVar(&f.quick, "quick", false, "measure only the smallest size of everything, in a few seconds")
}

// options returns the options that all measurements share. seconds is the default of --seconds. The options print results as
// JSON, or as a table with the machine's description above it.
func (f *benchFlags) options(cmd *cobra.Command, seconds float64) (bench.Options, error) {
	o := bench.Options{Threads: f.threads, ISA: f.isa, Seconds: seconds}
	if cmd.Flags().Changed("seconds") {
		o.Seconds = f.seconds
	}
	if err := o.Validate(); err != nil {
		return o, err
	}
	w := cmd.OutOrStdout()
	if f.asJSON {
		e, processor := json.NewEncoder(exactOut(cmd)), bench.Processor()
		o.Emit = func(r bench.Result) {
			r.Processor = processor
			r.Load, _ = bench.Load()
			_ = e.Encode(r)
		}
		return o, nil
	}
	table := &bench.Table{W: w}
	begun := false
	o.Emit = func(r bench.Result) {
		if !begun { // after the options are checked
			begun = true
			fmt.Fprintln(w, bench.Machine(o))
		}
		table.Print(r)
	}
	return o, nil
}

func newBenchGemm(f *benchFlags) *cobra.Command {
	var o bench.GemmOptions
	cmd := &cobra.Command{
		Use:   "gemm",
		Short: "Measure matrix products, on one thread and on all",
		Long: `Measure the product of two 1024 x 1024 matrices and the products of training steps. Shapes are rows x columns of the
result x length of the sums. Layouts: nt is the forward pass, nn the gradient of the input, tn the gradient of the
weights. Without --preset, products of 1, 4 and 16 rows with 128 MB of weights in each number format follow, beside the
rate at which this machine reads memory.`,
		Example: "  calm bench gemm\n  calm bench gemm --preset lm-proto --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Options, err = f.options(cmd, .2); err != nil {
				return err
			}
			return bench.Gemm(cmd.Context(), o)
		},
	}
	modelFlags(cmd, &o.Model, &o.Presets, strings.Join(bench.TrainPresets(), ","))
	return cmd
}

// modelFlags adds the flags that choose presets. unasked describes the default.
func modelFlags(cmd *cobra.Command, kind *run.Kind, presets *[]string, unasked string) {
	cmd.Flags().StringVar((*string)(kind), "model", "", "`KIND`: ae, lm or ar (default: the preset's)")
	cmd.Flags().StringSliceVar(presets, "preset", nil, "presets `NAMES`, with commas (default: "+unasked+")")
}

func newBenchTrain(f *benchFlags) *cobra.Command {
	var o bench.TrainOptions
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Measure training steps",
		Long: `Measure whole optimizer steps (forward, backward, random draws, clipping, AdamW) from random weights on random ids.

FLOPs are those of the matrix products: recomputation, elementwise operations and the optimizer are not counted.

--peer FILE compares with another program's times of the same steps, on as many threads. recipes/peer/run.sh measures
PyTorch and calm alternately on this machine, and writes such a file. It has the presets lm-bytes, ae-bytes, lm-proto,
ae-proto, calm-m and ae-official.`,
		Example: `  calm bench train --preset lm-bytes --profile
  calm bench train --preset lm-proto --peer peer-results/peer.json
  calm bench train --model lm --preset lm-proto --set num_hidden_layers=8 --batch 16 --tokens 256 --seconds 10`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Options, err = f.options(cmd, 3); err != nil {
				return err
			}
			return bench.Train(cmd.Context(), o)
		},
	}
	modelFlags(cmd, &o.Model, &o.Presets, "lm-bytes,ae-bytes,lm-proto,ae-proto")
	fl := cmd.Flags()
	fl.StringArrayVar(&o.Set, "set", nil, "`KEY=VALUE` changes the configuration; may be repeated")
	numberFlag(fl, &o.Batch, "batch", 0, "`N` rows of a batch; 0 for the preset's")
	numberFlag(fl, &o.Tokens, "tokens", 0, "`N` tokens of a row; 0 for the preset's")
	fl.StringVar(&o.Peer, "peer", "", "compare with the times of another program in `FILE`, which recipes/peer/run.sh makes")
	fl.BoolVar(&o.Profile, "profile", false, "show the time of each kind of operation")
	return cmd
}

func newBenchGenerate(f *benchFlags) *cobra.Command {
	var o bench.GenerateOptions
	cmd := &cobra.Command{
		Use:   "generate [RUN]",
		Short: "Measure generation: reading the prompt, then writing patch by patch",
		Long: `Measure a language model that writes one text, with a run's weights or with random ones, or a run of the token-level
baseline. The rate at which a step reads weights is shown with the rate at which this machine reads memory.

Below temperature 1 the work depends on how often a model's draws are equal. With random weights all draws are equal. calm
then computes the draws that the sampler needs, but gives it tokens that are equal as often as a trained model's: two
draws have the same token with probability 3/8.`,
		Example: `  calm bench generate --preset calm-m
  calm bench generate --preset lm-proto --head energy,diffusion,flow --steps 2,4,10
  calm bench generate runs/lm --temperature 0.5`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Run, err = runArgument(cmd, args); err != nil {
				return err
			}
			if o.Options, err = f.options(cmd, 2); err != nil {
				return err
			}
			return bench.Generate(cmd.Context(), o)
		},
	}
	fl := cmd.Flags()
	writingFlags(cmd, &o, 256)
	fl.BoolVar(&o.Load, "load", false, "write the random weights to a temporary run, and measure opening it and its first patch")
	fl.StringSliceVar(&o.Heads, "head", nil, "`HEADS` to measure, with commas: "+strings.Join(head.Names(), ", ")+" (default: the preset's)")
	numberListFlag(fl, &o.Steps, "steps", nil, "numbers `N,N` of sampling steps to measure with heads that draw in steps: "+strings.Join(kindsWith(head.SamplingSteps), ", ")+" (default: the preset's)")
	return cmd
}

func newBenchBrier(f *benchFlags) *cobra.Command {
	var o bench.BrierOptions
	cmd := &cobra.Command{
		Use:   "brier [RUN]",
		Short: "Measure the evaluation of BrierLM, compared with a loop over positions",
		Long: `Measure BrierLM on the embedded book for a model with patches of fewer than four tokens, or for the baseline, with a run's
weights or with random ones. calm compares it with two loops over positions, measured alternately with it: one reads the
prefix of each position again, the other keeps the prefix in a cache.

Further patches are drawn only while two samples are equal, so the cost depends on the model. The samples of an untrained
language model are all equal, which costs most. Those of an untrained baseline are rarely equal.`,
		Example: "  calm bench brier\n  calm bench brier --preset lm-bytes --set patch_size=2 --tokens 1024\n  calm bench brier runs/ar --json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Run, err = runArgument(cmd, args); err != nil {
				return err
			}
			if o.Options, err = f.options(cmd, 2); err != nil {
				return err
			}
			return bench.Brier(cmd.Context(), o)
		},
	}
	modelFlags(cmd, &o.Model, &o.Presets, "lm-bytes with patches of 1 and 2 tokens, ar-bytes")
	fl := cmd.Flags()
	fl.StringArrayVar(&o.Set, "set", nil, "`KEY=VALUE` changes the configuration; may be repeated")
	numberFlag(fl, &o.Blocks, "blocks", 2, "`N` blocks of text")
	numberFlag(fl, &o.Tokens, "tokens", 512, "`N` tokens of a block")
	return cmd
}

// runArgument returns the run directory in a command's arguments, or "" where there is none.
func runArgument(cmd *cobra.Command, args []string) (string, error) {
	switch len(args) {
	case 0:
		return "", nil
	case 1:
		return args[0], nil
	}
	return "", badUsage("%s takes one run directory at most: see %s --help", cmd.CommandPath(), cmd.CommandPath())
}

func newBenchTokenizer(f *benchFlags) *cobra.Command {
	o := bench.TokenizerOptions{Data: os.Getenv("CALM_DATA")}
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "Measure tokenizers on the embedded book, with one thread",
		Long: `Measure encoding and decoding of the embedded book: raw bytes, byte-level BPE trained on it, and Llama 3's tokenizer if
the directory CALM_DATA has llama3/tokenizer.model.`,
		Example: "  calm bench tokenizer --vocab 8192",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Options, err = f.options(cmd, 1); err != nil {
				return err
			}
			return bench.Tokenizer(cmd.Context(), o)
		},
	}
	numberFlag(cmd.Flags(), &o.Vocab, "vocab", 4096, "`N` tokens of the trained tokenizer")
	return cmd
}

// benchAll measures a little of everything.
func benchAll(cmd *cobra.Command, f *benchFlags) error {
	seconds := 1.
	if f.quick {
		seconds = .05
	}
	o, err := f.options(cmd, seconds)
	if err != nil {
		return err
	}
	return bench.All(cmd.Context(), bench.AllOptions{Options: o, Quick: f.quick, Data: os.Getenv("CALM_DATA")})
}
