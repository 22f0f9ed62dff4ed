package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

type trainFlags struct {
	engineFlags
	run.Options
	resume string
	from   int
	accept bool
	seed   uint64
}

// trained lists the kinds of run that train makes.
var trained = []struct {
	kind        run.Kind
	short, long string
	examples    []string // without the word calm
}{
	{run.AE, "Train an autoencoder: a patch of tokens to one vector and back", `Train an autoencoder. It turns each patch of tokens into one vector, and the vector back into the tokens. A language
model is trained on top of it (calm train lm).`, []string{"train ae --out runs/ae --data my.txt", "train ae --out runs/ae --data my.txt --set patch_size=8 --steps 2000"}},
	{run.LM, "Train a language model on top of an autoencoder", `Train a language model on top of an autoencoder, which does not change. Without --data it trains on the autoencoder's text.`,
		[]string{"train lm --ae runs/ae --out runs/lm --steps 2000", "train lm --ae runs/ae --out runs/wide --set hidden_size=256 --set num_attention_heads=8 --minutes 30",
			"train lm --ae runs/ae --out runs/flow --set model_type=flow"}},
	{run.AR, "Train the token-level baseline, which predicts one token at a time", `Train the token-level baseline: a transformer that predicts one token at a time. It serves for comparison.`,
		[]string{"train ar --out runs/ar --data my.txt --minutes 30"}},
}

func newTrain() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train an autoencoder, a language model on top of one, or the token-level baseline",
		Long: `Train an autoencoder (ae), a language model on top of an autoencoder (lm), or the token-level baseline (ar).

The run directory contains the resolved configuration and everything that evaluation and generation need. Ctrl-C saves
the state. --resume continues from there, and the result is the same as without the interruption, unless flags change it:
--steps and --minutes train longer, --set changes keys that affect neither the model nor the order of the text, and --from
continues from an earlier checkpoint. --data gives the new place of the run's text. If config.json was edited by hand,
--accept-config is needed.`,
		Example: `  calm train ae --out runs/ae --data my.txt
  calm train lm --ae runs/ae --out runs/lm --steps 2000
  calm train --resume runs/lm --steps 4000
  calm train --resume runs/lm --set learning_rate=1e-4 --minutes 10`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.resume != "" && len(args) < 2:
				return f.resumeRun(cmd, run.Kind(strings.Join(args, ""))) // an unknown kind is refused there
			case len(args) > 0:
				return badUsage("cannot train %q, want ae, lm or ar%s", args[0], hint(cmd, "", args[0], kinds()))
			}
			if cmd.Flags().Changed("from") || f.accept {
				return badUsage("--from and --accept-config are for a run to continue: give --resume RUN too")
			}
			return badUsage("train takes one of ae, lm and ar, or --resume RUN: see calm train --help")
		},
	}
	f.add(cmd)
	for _, name := range []string{"out", "preset", "config", "field", "ae", "tokenizer", "seed"} {
		hide(cmd, name)
	}
	for _, t := range trained {
		cmd.AddCommand(f.newKind(cmd, t.kind, t.short, t.long, t.examples))
	}
	return cmd
}

// newKind returns the command that trains a new run of a kind. Its help ends with the keys of the kind's configuration.
func (f *trainFlags) newKind(train *cobra.Command, kind run.Kind, short, long string, examples []string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(kind) + " --out RUN", Short: short,
		Long: long + `

The configuration is a preset. A JSON file (--config) overrides keys of the preset, and --set overrides keys of both. The
run directory contains the result as config.json.`,
		Example: "  calm " + strings.Join(examples, "\n  calm "),
		Args:    exactly(0, "flags but no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.begin(cmd, kind) },
	}
	help := train.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		if err := writeKeys(cmd.OutOrStdout(), kind, cmp.Or(f.Preset, run.DefaultPreset), f.Set); err != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "\nThe keys of the configuration cannot be listed: %v\n", err)
		}
	})
	f.add(cmd)
	hide(cmd, "resume")
	hide(cmd, "from")
	hide(cmd, "accept-config")
	if kind == run.LM {
		hide(cmd, "tokenizer")
	} else {
		hide(cmd, "ae")
	}
	return cmd
}

// add adds all flags to train and to its subcommands. So a flag of another subcommand gets a message that says why it is wrong.
func (f *trainFlags) add(cmd *cobra.Command) {
	f.engineFlags.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.Out, "out", "", "the run directory `RUN` to make")
	fl.StringVar(&f.Preset, "preset", "", "start from the configuration `NAME` (default quickstart)")
	fl.StringVar(&f.Config, "config", "", "a JSON `FILE` with keys that differ from the preset")
	set, text := "`KEY=VALUE` changes preset and file; may be repeated", "text: a file, a directory or a prepared corpus at `PATH`; may be repeated (default: the embedded book)"
	switch cmd.Name() {
	case "train": // with --resume
		set, text = "`KEY=VALUE` applies from the next step on; may be repeated", "the run's text is now at `PATH`; may be repeated"
	case string(run.LM):
		text = strings.Replace(text, "the embedded book", "the autoencoder's text", 1)
	}
	fl.StringArrayVar(&f.Set, "set", nil, set)
	fl.StringArrayVar(&f.Data, "data", nil, text)
	addField(fl, &f.Field)
	fl.StringVar(&f.AE, "ae", "", "the autoencoder's run directory `RUN`")
	fl.StringVar(&f.Tokenizer, "tokenizer", "", "`TOKENIZER`: bytes, llama3:FILE or a tokenizer.json (default: bytes, or what --data was prepared with)")
	numberFlag(fl, &f.Steps, "steps", 0, "`N` optimizer steps in all; with --resume, including those already made")
	numberFlag(fl, &f.Minutes, "minutes", 0, "minutes of training; with --resume, further minutes")
	numberFlag(fl, &f.seed, "seed", 1, "seed of weights, shuffling and noise")
	fl.StringVar(&f.resume, "resume", "", "continue the run in `RUN` instead of making a new one")
	numberFlag(fl, &f.from, "from", 0, "with --resume: continue from the checkpoint of step `N`, 0 for the beginning (default: the newest)")
	fl.BoolVar(&f.accept, "accept-config", false, "with --resume: accept that config.json or tokenizer.json was edited by hand")
}

func hide(cmd *cobra.Command, name string) { cmd.Flags().Lookup(name).Hidden = true }

func kinds() []string { return []string{string(run.AE), string(run.LM), string(run.AR)} }

// check reports numbers out of range.
func (f *trainFlags) check() error {
	if err := f.engineFlags.check(); err != nil {
		return err
	}
	if f.Steps < 0 {
		return badUsage("--steps %d: want 0 for the configured number, or more", f.Steps)
	}
	if !(f.Minutes >= 0) || math.IsInf(f.Minutes, 0) {
		return badUsage("--minutes %g: want 0 for the configured number, or more", f.Minutes)
	}
	return nil
}

// begin trains a new run.
func (f *trainFlags) begin(cmd *cobra.Command, kind run.Kind) error {
	switch {
	case f.resume != "":
		return f.resumeRun(cmd, kind)
	case cmd.Flags().Changed("from"):
		return badUsage("--from names a checkpoint of a run to continue: give --resume RUN too")
	case f.accept:
		return badUsage("--accept-config is for the run of --resume RUN: give that too")
	case f.Out == "":
		return badUsage("train needs --out RUN, the directory to make")
	}
	if cmd.Flags().Changed("seed") {
		f.Seed = &f.seed
	}
	f.Kind = kind
	return f.train(cmd, func(ctx context.Context, eng *cpu.Engine) (*run.Training, error) {
		return run.Create(ctx, eng, f.Options)
	})
}

// resumeRun continues the training of a run, which must be of the kind, or of any kind if kind is "".
func (f *trainFlags) resumeRun(cmd *cobra.Command, kind run.Kind) error {
	if f.Out != "" || f.Preset != "" || f.Config != "" || f.Field != "" || f.AE != "" || f.Tokenizer != "" || cmd.Flags().Changed("seed") {
		return badUsage("--resume continues a run: only --from, --steps, --minutes, --set, --data, --accept-config and --threads go with it")
	}
	o := run.ResumeOptions{Kind: kind, Steps: f.Steps, Minutes: f.Minutes, Set: f.Set, Data: f.Data, AcceptConfig: f.accept}
	if cmd.Flags().Changed("from") {
		o.From = &f.from
	}
	return f.train(cmd, func(ctx context.Context, eng *cpu.Engine) (*run.Training, error) {
		t, warnings, err := run.Resume(ctx, eng, f.resume, o)
		for _, w := range warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), "calm: warning:", w)
		}
		return t, err
	})
}

// train opens a training and runs it. It prints the text and the model first, then the progress, and the results at the end.
func (f *trainFlags) train(cmd *cobra.Command, open func(context.Context, *cpu.Engine) (*run.Training, error)) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	eng, err := f.engine()
	if err != nil {
		return err
	}
	defer eng.Close()
	t, err := open(cmd.Context(), eng)
	if err != nil {
		return err
	}
	defer func() { err = joinClose(err, t.Close) }()
	w := cmd.OutOrStdout()
	if t.Finished() {
		fmt.Fprintf(w, "%s is finished after %s: nothing to do; --steps or --minutes train it further\n", t.Dir, plural.Count(t.Steps(), "step"))
		return nil
	}
	tellNotes(cmd, t.Corpus().Notes())
	tellTokenizer(cmd.ErrOrStderr(), t.Tokenizer)
	if err := announce(w, t, eng); err != nil {
		return err
	}
	p := newProgress(cmd.ErrOrStderr(), string(t.Kind))
	t.Progress = p.event
	out, err := t.Do(cmd.Context())
	p.End()
	if err != nil {
		return err
	}
	if !out.Finished {
		fmt.Fprintf(w, "stopped after step %d; continue with: %s\n", out.Steps, commandLine("train", "--resume", t.Dir))
		return errInterrupted
	}
	conclude(w, t, out)
	return nil
}
