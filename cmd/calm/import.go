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
		Short: "Import a model trained with the PyTorch reference",
		Long: `Make a run from a model trained with the PyTorch reference: an autoencoder, a language model, or the token-level baseline.

SRC is a directory written by the reference, with config.json and model.safetensors or pytorch_model.bin (one file, or
several with their index). It can also be a model on the Hugging Face hub, as org/name or org/name@revision. Environment
variables: HF_HOME is the directory of downloads, HF_TOKEN gives access to private models, HF_HUB_OFFLINE=1 forbids
downloads.

The tokenizer is the one in SRC, or --tokenizer. A run without a tokenizer works on token ids: generate --ids, and eval
on a prepared corpus. If config.json lacks a setting, calm takes it from another file or a default, and says so.`,
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
	fl.BoolVar(&o.AllowNaN, "allow-nan", false, "import weights with NaN or infinity, which are an error otherwise")
	return cmd
}

// printReport prints the report of an import or an export.
func printReport(cmd *cobra.Command, to string, r *interchange.Report) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s:\n", to)
	for _, line := range r.Lines() {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
