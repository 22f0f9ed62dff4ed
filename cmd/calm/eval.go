package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
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
		Long: `Measure a run on its own held-out text, or on all of another text (--data).

An autoencoder: cross entropy, the share of tokens that come back, also under noise, collapsed dimensions.
A language model: its head's loss, Brier-1..4 and BrierLM with 95 % intervals. BrierLM depends on the block size.
The token-level baseline: cross entropy, perplexity, Brier-1..4 and BrierLM.

Where patches have fewer than 4 tokens, and for the baseline, further ones are drawn behind two samples for as long as
these are equal; "rollouts" counts at how many positions.`,
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
			r, err := m.Evaluate(cmd.Context(), eng, o)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			printResult(cmd.OutOrStdout(), r)
			return nil
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&o.Data, "data", nil, "text to measure on, all of it; may be repeated (default: what the run held out)")
	fl.IntVar(&o.Block, "block", 0, "tokens a block (default: the run's block_size)")
	fl.IntVar(&o.MaxBlocks, "blocks", 0, "measure at most that many blocks, spread evenly; 0 for all")
	fl.IntVar(&o.Samples, "samples", 8, "patches drawn at each position of a language model; all pairs are used; always 2 where a patch has fewer than 4 tokens")
	fl.StringVar(&windows, "windows", "all", "where patches of fewer than 4 tokens are scored: all that fit a block, or the reference's, one fewer")
	fl.StringVar(&noise, "noise", "0.1,0.3", "standard deviations of noise on an autoencoder's latents")
	fl.Uint64Var(&o.Seed, "seed", 0, "seed of the draws; 0 for the run's")
	samplingFlag(cmd, &set)
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// withoutEffect refuses flags that change nothing of what is measured of such a run.
func withoutEffect(cmd *cobra.Command, m *run.Model, o run.Evaluation) error {
	kind := map[run.Kind]string{run.AE: "an autoencoder", run.LM: "a language model", run.AR: "the token-level baseline"}[m.Kind]
	short := m.LM != nil && m.LM.Config.PatchSize < brier.N // whose n-grams reach into further patches
	for _, c := range []struct {
		flag      string
		no        bool
		otherwise string
	}{
		{"noise", m.AE == nil, "noise is added to an autoencoder's latent vectors"},
		{"samples", m.LM == nil, "samples are drawn of a language model"},
		{"samples", short && o.Samples != 2, "samples are always 2 where a patch has fewer than 4 tokens"},
		{"windows", !short, "windows differ for a language model whose patches have fewer than 4 tokens"},
	} {
		if c.no && cmd.Flags().Changed(c.flag) {
			return badUsage("--%s: %s, and %s is %s: leave it out", c.flag, c.otherwise, m.Dir, kind)
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
			return nil, badUsage("--noise %q: %q is no standard deviation from 0 to 100", list, s)
		}
		out = append(out, v)
	}
	return out, nil
}

func printResult(w io.Writer, r run.Result) {
	fmt.Fprintf(w, "%s, %s, %s weights\n", r.Run, r.Text, r.DType)
	switch {
	case r.AE != nil:
		printAE(w, r.AE)
	case r.LM != nil:
		printLM(w, r.LM)
	case r.AR != nil:
		printAR(w, r.AR)
	}
}

func printAE(w io.Writer, r *eval.AEResult) {
	fmt.Fprintf(w, "  tokens         %d in %d blocks of %d\n  cross entropy  %.5f nats a token\n  accuracy       %.3f %% (posterior sample)\n", r.Tokens, r.Blocks, r.BlockSize, r.CrossEntropy, 100*r.Accuracy)
	for _, n := range r.Noise {
		fmt.Fprintf(w, "  accuracy       %.3f %% (noise %g)\n", 100*n.Accuracy, n.Sigma)
	}
	fmt.Fprintf(w, "  KL             %.3f nats a patch\n  collapsed      %d of %d dimensions\n", r.KL, r.Collapsed, len(r.DimensionKL))
}

func printLM(w io.Writer, r *eval.LMResult) {
	fmt.Fprintf(w, "  positions      %d in %d blocks of %d tokens, %d samples each\n", r.Positions, r.Blocks, r.BlockSize, r.Samples)
	for _, f := range r.HeadLoss.Figures() {
		fmt.Fprintf(w, "  %-14s %.5f\n", strings.ReplaceAll(f.Name, "_", " "), f.Value)
	}
	if r.Diverged > 0 {
		fmt.Fprintf(w, "  diverged       %d of %d draws, none of which is right: train longer, or take more sampling_steps\n", r.Diverged, r.Drawn)
	}
	printScores(w, r.Result, r.Rollouts)
}

func printAR(w io.Writer, r *eval.ARResult) {
	fmt.Fprintf(w, "  tokens         %d in %d blocks of %d\n  cross entropy  %.4f nats a token\n  perplexity     %.3f\n  accuracy       %.2f %%\n",
		r.Tokens, r.Blocks, r.BlockSize, r.CrossEntropy, r.Perplexity, 100*r.Accuracy)
	printScores(w, r.Result, r.Rollouts)
}

func printScores(w io.Writer, r brier.Result, rollouts []int) {
	for i, b := range r.Brier {
		fmt.Fprintf(w, "  Brier-%d        %.3f  [%.3f, %.3f]\n", i+1, b, r.BrierInterval[i].Lo, r.BrierInterval[i].Hi)
	}
	if r.Measurable {
		fmt.Fprintf(w, "  BrierLM        %.3f  [%.3f, %.3f]\n", r.BrierLM, r.BrierLMInterval.Lo, r.BrierLMInterval.Hi)
	} else {
		fmt.Fprintln(w, "  BrierLM        not measurable: a Brier score is not above 0")
	}
	if rollouts != nil {
		fmt.Fprintf(w, "  rollouts       %s of %d positions\n", strings.Trim(fmt.Sprint(rollouts), "[]"), r.Positions)
	}
}
