package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/run"
)

// evalFlags are the flags of calm eval.
type evalFlags struct {
	engineFlags
	run.Evaluation
	noise, windows string
	set            []string
	asJSON         bool
}

func newEval() *cobra.Command {
	var f evalFlags
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
		RunE: func(cmd *cobra.Command, args []string) error { return f.measure(cmd, args[0]) },
	}
	f.add(cmd)
	return cmd
}

func (f *evalFlags) add(cmd *cobra.Command) {
	f.engineFlags.add(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.Data, "data", nil, "measure on the text at `PATH`: a file, a directory, a prepared corpus, or - for standard input; may be repeated (default: the run's own)")
	addField(fl, &f.Field)
	numberFlag(fl, &f.Block, "block", 0, "tokens of a block (default: the run's block_size)")
	numberFlag(fl, &f.MaxBlocks, "blocks", 0, "measure at most `N` blocks, spread evenly over the text; 0 for all")
	numberFlag(fl, &f.Samples, "samples", 8, "samples at each position of a language model; always 2 for patches of fewer than 4 tokens")
	fl.StringVar(&f.windows, "windows", "all", "windows of a block to score, for patches of fewer than 4 tokens: all, or reference for one fewer, as the reference does")
	fl.StringVar(&f.noise, "noise", "0.1,0.3", "standard deviations of the noise added to an autoencoder's latent vectors, with commas")
	numberFlag(fl, &f.Seed, "seed", 0, "seed of the random draws; 0 for the run's")
	samplingFlag(cmd, &f.set)
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON object")
}

// check sets the options that flags give as text, and returns an error for flags that are wrong whatever the run is.
func (f *evalFlags) check() (err error) {
	if f.Sigmas, err = parseSigmas(f.noise); err != nil {
		return err
	}
	switch f.ReferenceWindows = f.windows == "reference"; {
	case f.Samples < 2 || f.Samples > eval.MaxSamples || f.Block < 0 || f.MaxBlocks < 0:
		return badUsage("want --samples 2 to %d, --block and --blocks 0 or more", eval.MaxSamples)
	case f.windows != "all" && !f.ReferenceWindows:
		return badUsage("--windows %q: want all or reference", f.windows)
	case f.Field != "" && len(f.Data) == 0:
		return badUsage("--field is for --data: a run's own text is read as it was for training")
	}
	return nil
}

// measure measures the run in dir and prints the result.
func (f *evalFlags) measure(cmd *cobra.Command, dir string) error {
	if err := f.check(); err != nil {
		return err
	}
	m, err := run.Open(dir, f.set...)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := withoutEffect(cmd, m, f.Evaluation); err != nil {
		return err
	}
	eng, err := f.engine()
	if err != nil {
		return err
	}
	defer eng.Close()
	f.Stdin = cmd.InOrStdin()
	line := newProgress(cmd.ErrOrStderr(), "eval")
	f.Progress = line.blocks()
	r, err := m.Evaluate(cmd.Context(), eng, f.Evaluation)
	line.End()
	if err != nil {
		return err
	}
	tellNotes(cmd, r.Notes)
	if f.asJSON {
		return json.NewEncoder(exactOut(cmd)).Encode(r)
	}
	printResult(cmd.OutOrStdout(), r)
	return nil
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
		v, err := parseNumber[float64](s)
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
