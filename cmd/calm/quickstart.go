package main

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/quickstart"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

func newQuickstart() *cobra.Command {
	var (
		f        engineFlags
		o        quickstart.Options
		steps    string
		jsonFile string
	)
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "Train a model, measure it and write text with it, in four minutes",
		Long: `Train an autoencoder and a language model on the embedded book, measure both on chapters held out of training, and write
text with them.`,
		Example: `  calm quickstart
  calm quickstart --minutes 10 --out runs/better
  calm quickstart --head energy
  calm quickstart --steps 300,500 --json metrics.json`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := parseSteps(steps, &o); err != nil {
				return err
			}
			if steps != "" && cmd.Flags().Changed("minutes") {
				return badUsage("quickstart takes --minutes or --steps, not both")
			}
			if !(o.Minutes > 0) || math.IsInf(o.Minutes, 0) {
				return badUsage("--minutes %g: want more than 0", o.Minutes)
			}
			if !slices.Contains(quickstart.Heads(), o.Head) {
				return badUsage("--head %q: want %s", o.Head, strings.Join(quickstart.Heads(), " or "))
			}
			if jsonFile != "" {
				if err := atomicfile.CanWrite(jsonFile); err != nil {
					return badUsage("--json %s: %w", jsonFile, err)
				}
			}
			if !cmd.Flags().Changed("out") {
				o.Out = quickstart.FreeDir(o.Out)
			}
			return runQuickstart(cmd, f, o, jsonFile)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	numberFlag(fl, &o.Minutes, "minutes", 4, "about how many minutes it takes")
	fl.StringVar(&steps, "steps", "", "`AE,LM`: train for fixed numbers of optimizer steps instead")
	fl.StringVar(&o.Head, "head", quickstart.Heads()[0], "`HEAD` of the language model: "+strings.Join(quickstart.Heads(), " or "))
	fl.StringVar(&o.Out, "out", "runs/quickstart", "the run directory `RUN` to make; the autoencoder's is RUN-ae")
	numberFlag(fl, &o.Seed, "seed", 1, "seed of weights, shuffling and noise")
	fl.StringVar(&jsonFile, "json", "", "write all measurements to `FILE`, with the names of eval --json")
	return cmd
}

func parseSteps(text string, o *quickstart.Options) error {
	if text == "" {
		return nil
	}
	ae, lm, ok := strings.Cut(text, ",")
	var errAE, errLM error
	o.AESteps, errAE = strconv.Atoi(strings.TrimSpace(ae))
	o.LMSteps, errLM = strconv.Atoi(strings.TrimSpace(lm))
	if !ok || errAE != nil || errLM != nil || o.AESteps < 1 || o.LMSteps < 1 {
		return badUsage("--steps %q: want two numbers of steps, as in 300,500", text)
	}
	return nil
}

func runQuickstart(cmd *cobra.Command, f engineFlags, o quickstart.Options, jsonFile string) error {
	eng, err := f.engine()
	if err != nil {
		return err
	}
	defer eng.Close()
	o.Say, o.Command = cmd.OutOrStdout(), commandLine
	lines := map[run.Kind]*progress{}
	for kind, name := range map[run.Kind]string{run.AE: "   autoencoder", run.LM: "   language model"} {
		lines[kind] = newProgress(cmd.ErrOrStderr(), name)
	}
	measuring := newProgress(cmd.ErrOrStderr(), "   measuring")
	o.Measure = measuring.blocks
	o.Progress = func(kind run.Kind, e train.Event) { lines[kind].event(e) }
	o.PhaseEnd = func() {
		for _, p := range lines {
			p.End()
		}
		measuring.End()
	}
	result, err := quickstart.Run(cmd.Context(), eng, o)
	if err != nil || jsonFile == "" {
		return err
	}
	return atomicfile.Write(jsonFile, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(result)
	})
}
