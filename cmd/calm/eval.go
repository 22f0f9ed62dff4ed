package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/run"
)

func newEval() *cobra.Command {
	var (
		f       engineFlags
		o       run.Evaluation
		noise   string
		windows string
		set     []string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "eval RUN",
		Short: "Measure a run: reconstruction, BrierLM, or cross entropy",
		Long: `Measure a run on the text that was held out of its training, or on all of another text (--data). calm recognizes the run's
own text by its content, at any path: it measures only the held-out part of it.

An autoencoder: cross entropy, accuracy of the reconstruction with and without noise, collapsed dimensions.
A language model: the loss of its head, Brier-1 to Brier-4 and BrierLM with 95 % intervals. BrierLM depends on the block
size.
The token-level baseline: cross entropy, perplexity, Brier-1 to Brier-4 and BrierLM.

Brier-n needs n tokens. For patches of fewer than 4 tokens, and for the baseline, calm draws further patches after two
samples while the two are equal. "rollouts" counts the positions where it did.`,
		Example: `  calm eval runs/lm
  calm eval runs/ae --noise 0.1,0.3,0.5
  calm eval runs/flow --set sampling_steps=4
  calm eval runs/lm --data test.jsonl --block 1024 --samples 8 --json
  calm eval runs/lm-k2 --windows reference`,
		Args: exactly(1, "one run directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Sigmas, err = parseSigmas(noise); err != nil {
				return err
			}
			if o.Samples < 2 || o.Samples > eval.MaxSamples || o.Block < 0 || o.MaxBlocks < 0 {
				return badUsage("want --samples 2 to %d, --block and --blocks 0 or more", eval.MaxSamples)
			}
			switch windows {
			case "all", "reference":
				o.ReferenceWindows = windows == "reference"
			default:
				return badUsage("--windows %q: want all or reference", windows)
			}
			if o.Field != "" && len(o.Data) == 0 {
				return badUsage("--field is for --data: a run's own text is read as it was for training")
			}
			m, err := run.Open(args[0], set...)
			if err != nil {
				return err
			}
			defer m.Close()
			if err := withoutEffect(cmd, m, o); err != nil {
				return err
			}
			eng, err := f.engine()
			if err != nil {
				return err
			}
			defer eng.Close()
			o.Stdin = cmd.InOrStdin()
			line := newProgress(cmd.ErrOrStderr(), "eval")
			o.Progress = line.blocks()
			r, err := m.Evaluate(cmd.Context(), eng, o)
			line.End()
			if err != nil {
				return err
			}
			tellNotes(cmd, r.Notes)
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			printResult(cmd.OutOrStdout(), r)
			return nil
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&o.Data, "data", nil, "measure on the text at `PATH`: a file, a directory, a prepared corpus, or - for standard input; may be repeated (default: the run's own)")
	addField(fl, &o.Field)
	fl.IntVar(&o.Block, "block", 0, "tokens of a block (default: the run's block_size)")
	fl.IntVar(&o.MaxBlocks, "blocks", 0, "measure at most `N` blocks, spread evenly over the text; 0 for all")
	fl.IntVar(&o.Samples, "samples", 8, "samples at each position of a language model; always 2 for patches of fewer than 4 tokens")
	fl.StringVar(&windows, "windows", "all", "windows of a block to score, for patches of fewer than 4 tokens: all, or reference for one fewer, as the reference does")
	fl.StringVar(&noise, "noise", "0.1,0.3", "standard deviations of the noise added to an autoencoder's latent vectors, with commas")
	fl.Uint64Var(&o.Seed, "seed", 0, "seed of the random draws; 0 for the run's")
	samplingFlag(cmd, &set)
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// withoutEffect returns an error for flags that have no effect on the measurement of the run.
func withoutEffect(cmd *cobra.Command, m *run.Model, o run.Evaluation) error {
	for _, u := range m.Network.Unused(o.Options) {
		if cmd.Flags().Changed(u.Option) {
			return badUsage("--%s: %s, and %s is %s: leave it out", u.Option, u.Why, m.Dir, m.Kind.Title())
		}
	}
	return nil
}

func parseSigmas(list string) ([]float64, error) {
	var out []float64
	for _, s := range strings.Split(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || !(v >= 0 && v <= 100) {
			return nil, badUsage("--noise %q: %q is not a standard deviation from 0 to 100", list, s)
		}
		out = append(out, v)
	}
	return out, nil
}

func printResult(w io.Writer, r run.Result) {
	fmt.Fprintf(w, "%s, %s, %s weights\n", r.Run, r.Text, r.DType)
	r.Measured.Print(w)
}
