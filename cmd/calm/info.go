package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/run"
)

func newInfo() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "info RUN",
		Short:   "Show what a run is: kind, sizes, configuration",
		Example: "  calm info runs/lm\n  calm info runs/lm --json",
		Args:    exactly(1, "one run directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := run.Open(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			all, trainable := m.Params.Count()
			w := cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(w).Encode(map[string]any{"run": m.Dir, "kind": m.Kind, "parameters": all,
					"trainable_parameters": trainable, "vocab_size": m.Tokenizer.VocabSize(), "config": m.Config()})
			}
			fmt.Fprintf(w, "%s: %s, %d parameters, %d of them trained, tokenizer of %d tokens\n", m.Dir, m.Kind, all, trainable, m.Tokenizer.VocabSize())
			text, err := json.MarshalIndent(m.Config(), "", "  ")
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s\n", text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
