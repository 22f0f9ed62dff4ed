package main

import (
	"context"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/run"
)

type trainFlags struct {
	engineFlags
	run.Options
	resume string
	from   int
	seed   uint64
}

func newTrain() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train ae|lm|ar --out RUN",
		Short: "Train an autoencoder, a language model over one, or the token-level baseline",
		Long: `Train an autoencoder (ae), a language model over a frozen autoencoder (lm), or the token-level baseline (ar).

The configuration is a preset, over it a JSON file (--config), over that single keys (--set). It stands resolved in the
run directory, which holds all that evaluation and generation need. Ctrl-C saves; --resume goes on as if nothing had
happened, or with what these flags ask for: --steps N (in all), --minutes N (further ones), --set of keys that change neither
the model nor the order of the text, --from N (an earlier checkpoint), --data (where the run's text lies now).`,
		Example: `  calm train ae --out runs/ae
  calm train lm --ae runs/ae --out runs/lm --steps 2000
  calm train lm --ae runs/ae --out runs/wide --set hidden_size=256 --set num_attention_heads=8 --minutes 30
  calm train --resume runs/lm --steps 4000
  calm train --resume runs/lm --set learning_rate=1e-4 --minutes 10`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("seed") {
				f.Seed = &f.seed
			}
			return f.train(cmd, args)
		},
	}
	f.engineFlags.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.Out, "out", "", "the run directory to make")
	fl.StringVar(&f.Preset, "preset", "", "the configuration to start from (default quickstart)")
	fl.StringVar(&f.Config, "config", "", "a JSON file with keys that differ from the preset")
	fl.StringArrayVar(&f.Set, "set", nil, "key=value, over preset and file; may be repeated")
	fl.StringArrayVar(&f.Data, "data", nil, "text: a file, a directory or a prepared corpus; may be repeated (default: the embedded book)")
	addField(fl, &f.Field)
	fl.StringVar(&f.AE, "ae", "", "the autoencoder's run, for lm")
	fl.StringVar(&f.Tokenizer, "tokenizer", "", "bytes, llama3:FILE or a tokenizer.json (default bytes; lm uses its autoencoder's)")
	fl.IntVar(&f.Steps, "steps", 0, "optimizer steps in all, with --resume too")
	fl.Float64Var(&f.Minutes, "minutes", 0, "minutes of training; with --resume, further ones")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of weights, shuffling and noise")
	fl.StringVar(&f.resume, "resume", "", "a run to go on with, instead of a new one")
	fl.IntVar(&f.from, "from", 0, "with --resume: the step of the checkpoint to go on from, 0 for the beginning (default: the newest)")
	return cmd
}

func (f *trainFlags) train(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if f.Steps < 0 {
		return badUsage("--steps %d: want 0 for as many as configured, or more", f.Steps)
	}
	if !(f.Minutes >= 0) || math.IsInf(f.Minutes, 0) {
		return badUsage("--minutes %g: want 0 for as many as configured, or more", f.Minutes)
	}
	eng, err := f.engine()
	if err != nil {
		return err
	}
	defer eng.Close()
	var t *run.Training
	switch {
	case f.resume != "":
		var o run.ResumeOptions
		if o, err = f.resumeOptions(cmd, args); err != nil {
			return err
		}
		var warnings []string
		t, warnings, err = run.Resume(ctx, eng, f.resume, o)
		for _, w := range warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), "calm: warning:", w)
		}
	case cmd.Flags().Changed("from"):
		return badUsage("--from names a checkpoint of a run to go on with: give --resume RUN too")
	case len(args) != 1:
		return badUsage("train takes one of ae, lm and ar, or --resume RUN: see calm train --help")
	case f.Out == "":
		return badUsage("train needs --out RUN, the directory to make")
	default:
		f.Kind = run.Kind(args[0])
		t, err = run.Create(ctx, eng, f.Options)
	}
	if err != nil {
		return err
	}
	err = trainToEnd(ctx, cmd, t)
	return joinClose(err, t.Close)
}

// resumeOptions returns how the run is to go on.
func (f *trainFlags) resumeOptions(cmd *cobra.Command, args []string) (o run.ResumeOptions, err error) {
	if len(args) > 1 || f.Out != "" || f.Preset != "" || f.Config != "" || f.Field != "" || f.AE != "" || f.Tokenizer != "" || f.Seed != nil {
		return o, badUsage("--resume goes on with a run: only --from, --steps, --minutes, --set, --data and --threads go with it")
	}
	o = run.ResumeOptions{Steps: f.Steps, Minutes: f.Minutes, Set: f.Set, Data: f.Data}
	if cmd.Flags().Changed("from") {
		o.From = &f.from
	}
	if len(args) == 1 {
		o.Kind = run.Kind(args[0])
	}
	return o, nil
}

// trainToEnd trains with a line of progress, and says how it ended.
func trainToEnd(ctx context.Context, cmd *cobra.Command, t *run.Training) error {
	if t.Loop.Finished() {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is finished after %d steps: there is nothing to do; --steps or --minutes train it further\n", t.Dir, t.Loop.Trainer.Steps())
		return nil
	}
	tellNotes(cmd, t.Corpus().Notes())
	p := newProgress(cmd.ErrOrStderr(), string(t.Kind))
	t.Loop.Progress = p.event
	out, err := t.Do(ctx)
	p.End()
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if !out.Finished {
		fmt.Fprintf(w, "stopped after step %d; go on with: %s\n", out.Steps, commandLine("train", "--resume", t.Dir))
		return errInterrupted
	}
	fmt.Fprintf(w, "%s: %d steps in %s\n", t.Dir, out.Steps, seconds(out.Seconds))
	for _, m := range out.Measured {
		fmt.Fprintf(w, "  %-18s %s\n", m.Name, number(m.Value))
	}
	return nil
}
