package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// infoFlags are the flags of calm info.
type infoFlags struct {
	preset, kind string
	set          []string
	context      int
	asJSON       bool
}

func newInfo() *cobra.Command {
	var f infoFlags
	cmd := &cobra.Command{
		Use:   "info RUN | --preset NAME",
		Short: "Show a run or a preset: kind, sizes, FLOPs, configuration",
		Long: `Show a run, or the model of a preset: its configuration, its parameters, and the floating-point operations (FLOPs) of
training and generation (docs/flops.md says which are counted). calm also verifies the weights of a run.`,
		Example: "  calm info runs/lm\n  calm info runs/lm --json\n  calm info --preset calm-m --set block_size=8192",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := f.model(args)
			if err != nil {
				return err
			}
			if !m.Writes() && f.context > 0 {
				return badUsage("--context: an autoencoder has no context: leave it out")
			}
			cost, err := m.Cost(f.context)
			if err != nil {
				return err
			}
			text, err := config.Encode(m.Config())
			if err != nil {
				return err
			}
			var changes []train.Change
			if m.Dir != "" {
				if changes, err = m.Changes(); err != nil {
					return err
				}
			}
			if f.asJSON {
				info := infoJSON(m, cost, text)
				if len(changes) > 0 {
					info["changes"] = changes
				}
				return json.NewEncoder(exactOut(cmd)).Encode(info)
			}
			return f.describe(cmd.OutOrStdout(), m, cost, changes, text)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON object")
	fl.StringVar(&f.preset, "preset", "", "describe the preset `NAME` instead of a run")
	fl.StringVar(&f.kind, "model", "", "`KIND`: ae, lm or ar, if several kinds have a preset of that name")
	fl.StringArrayVar(&f.set, "set", nil, "`KEY=VALUE` changes the preset; may be repeated")
	numberFlag(fl, &f.context, "context", 0, "count the FLOPs of a token in a context of `N` positions: patches, or tokens of ar; 0 for those of a training block")
	return cmd
}

// model returns the model of the run or the preset.
func (f *infoFlags) model(args []string) (*run.Model, error) {
	if f.context < 0 || f.context > config.MaxTokens {
		return nil, badUsage("--context %d: want 0 for the positions of a training block, or up to %d", f.context, config.MaxTokens)
	}
	switch {
	case len(args) == 1 && f.preset == "":
		if f.kind != "" || len(f.set) > 0 {
			return nil, badUsage("--model and --set are for presets: leave them out with the run %s; keys of a run (dtype, ..) can be set with eval, generate and bench", args[0])
		}
		m, err := run.Open(args[0]) // verifies that the weights match the configuration
		if err == nil {
			err = m.Close()
		}
		if err != nil {
			return nil, err
		}
		return run.Describe(args[0], true)
	case len(args) == 0 && f.preset != "":
		return run.Shape(f.preset, run.Kind(f.kind), true, f.set)
	}
	return nil, badUsage("calm info takes one run directory or --preset NAME: see calm info --help")
}

// infoJSON returns the object that --json prints; docs/formats.md describes its keys. configuration is JSON.
func infoJSON(m *run.Model, c run.Cost, configuration []byte) map[string]any {
	byPart := func(list []run.Amount) map[string]float64 {
		parts := map[string]float64{}
		for _, a := range list {
			parts[a.Name] = a.N
		}
		return parts
	}
	arithmetic := map[string]any{
		"train_step": c.Step.Total(), "train_step_attention": c.Step.Attention, "train_token": c.StepToken,
		"train_step_token_loss": c.TokenLoss.Total(), "trained": c.SoFar, "token_by_part": byPart(c.Token),
	}
	if c.MaxSteps > 0 {
		arithmetic["planned"] = c.Planned
	}
	if c.Context > 0 {
		arithmetic["token"], arithmetic["context"] = c.TokenTotal(), c.Context
	}
	info := map[string]any{"kind": m.Kind, "parameters": c.Kept, "trainable_parameters": c.Trained, "parameters_by_part": byPart(c.Parameters),
		"steps": c.Steps, "vocab_size": m.VocabSize(), "flops": arithmetic, "config": json.RawMessage(configuration)}
	if m.Dir != "" {
		info["run"] = m.Dir
	}
	if m.Tokenizer != nil {
		info["vocab_size"] = m.Tokenizer.VocabSize()
	}
	return info
}

// describe prints the same as text.
func (f *infoFlags) describe(w io.Writer, m *run.Model, c run.Cost, changes []train.Change, configuration []byte) error {
	what, tokens := "preset "+f.preset, "vocabulary of "+plural.Count(m.VocabSize(), "token")
	switch {
	case m.Tokenizer != nil:
		what, tokens = m.Dir, "tokenizer of "+plural.Count(m.Tokenizer.VocabSize(), "token")
	case m.Dir != "":
		what, tokens = m.Dir, "no tokenizer, "+tokens
	}
	fmt.Fprintf(w, "%s: %s, %s, %d of them trained, %s\n", what, m.Kind, plural.Count(c.Kept, "parameter"), c.Trained, tokens)
	fmt.Fprintf(w, "  parameters  %s\n", amounts(c.Parameters))
	fmt.Fprintf(w, "  training    %s FLOPs a token, %s a step (%.3g %% in attention)\n",
		quantity(c.StepToken), quantity(c.Step.Total()), 100*c.Step.Attention/c.Step.Total())
	if n := c.TokenLoss.Total(); n > 0 {
		fmt.Fprintf(w, "              %s of a step in the token loss, on for the first %.4g %% of the steps\n", quantity(n), 100*c.TokenUntil)
	}
	if m.Dir != "" {
		fmt.Fprintf(w, "              %s FLOPs in %s so far\n", quantity(c.SoFar), plural.Count(c.Steps, "step"))
	}
	if c.MaxSteps > 0 {
		fmt.Fprintf(w, "              %s FLOPs in %s in all\n", quantity(c.Planned), plural.Count(max(c.MaxSteps, c.Steps), "step"))
	}
	if c.Context == 0 {
		fmt.Fprintf(w, "  use         FLOPs a token: %s\n", amounts(c.Token))
	} else {
		fmt.Fprintf(w, "  writing     %s FLOPs a token at temperature 1 in a context of %s: %s\n",
			quantity(c.TokenTotal()), plural.Count(c.Context, "position"), amounts(c.Token))
	}
	for _, change := range changes {
		fmt.Fprintf(w, "  changed     %s\n", change)
	}
	_, err := w.Write(configuration)
	return err
}

// amounts lists parts with their numbers of parameters or FLOPs.
func amounts(list []run.Amount) string {
	var parts []string
	for _, a := range list {
		parts = append(parts, strings.ReplaceAll(a.Name, "_", " ")+" "+quantity(a.N))
	}
	return strings.Join(parts, ", ")
}

// quantity formats a count with four digits and, from a thousand on, a power of ten that is a multiple of three, as 1.234e6.
func quantity(n float64) string {
	exponent := 0
	for n >= 999.95 {
		n, exponent = n/1000, exponent+3
	}
	if exponent == 0 {
		return fmt.Sprintf("%.4g", n)
	}
	return fmt.Sprintf("%.4ge%d", n, exponent)
}
