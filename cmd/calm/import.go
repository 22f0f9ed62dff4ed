package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/interchange"
)

func newImport() *cobra.Command {
	var o interchange.Options
	cmd := &cobra.Command{
		Use:   "import SRC RUN",
		Short: "Import a model that the PyTorch reference trained",
		Long: `Make a run of a model that the PyTorch reference trained: an autoencoder, a language model, or the token-level baseline.

SRC is a directory as the reference writes it, with config.json and model.safetensors or pytorch_model.bin (one file, or
several with their index); or a model on the Hugging Face hub, org/name or org/name@revision. Environment variables:
HF_HOME is where downloads are kept, HF_TOKEN gives access to private models, HF_HUB_OFFLINE=1 forbids downloads.

The tokenizer is the one in SRC, or --tokenizer. Without a tokenizer the run works on token ids: generate --ids, and eval
on a prepared corpus. Settings that config.json lacks are taken from elsewhere; calm says from where.`,
		Example: `  calm import CALM-M runs/calm-m
  calm import cccczshao/CALM-M@main runs/calm-m --tokenizer llama3:tokenizer.model
  calm import checkpoints/lm runs/lm --ae checkpoints/ae`,
		Args: exactly(2, "a directory or a name on the hub, and the run directory to make"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Log = func(line string) { fmt.Fprintf(cmd.ErrOrStderr(), "calm: %s\n", line) }
			r, err := interchange.Import(cmd.Context(), args[0], args[1], o)
			if err != nil {
				return err
			}
			printReport(cmd, args[1], r)
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.AE, "ae", "", "the autoencoder, as `SRC`, if ae_path in config.json does not name it")
	fl.StringVar(&o.Tokenizer, "tokenizer", "", "`TOKENIZER`: bytes, llama3:FILE, a tokenizer.json, or none (default: the one in SRC)")
	return cmd
}

// printReport says what came of an import or an export.
func printReport(cmd *cobra.Command, to string, r *interchange.Report) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s:\n", to)
	for _, line := range r.Lines() {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
