package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/interchange"
)

func newImport() *cobra.Command {
	var o interchange.Options
	cmd := &cobra.Command{
		Use:   "import SRC RUN",
		Short: "Make a run of a model that the PyTorch reference trained",
		Long: `Make a run of a model that the PyTorch reference trained: an autoencoder, a language model, or the token-level baseline.

SRC is a directory as the reference leaves it (config.json, model.safetensors or pytorch_model.bin, in one file or
several with their index), or a name on the hub, org/name or org/name@revision. HF_HOME says where downloads are kept,
HF_TOKEN opens what is not public, HF_HUB_OFFLINE=1 keeps to what is there already.

The tokenizer is the one in SRC, or --tokenizer. Without any the run works on ids: generate --ids, and eval on a
prepared corpus. What config.json does not say is taken from elsewhere, and said.`,
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
	fl.StringVar(&o.AE, "ae", "", "the autoencoder's directory or name on the hub, where ae_path in config.json does not lead to it")
	fl.StringVar(&o.Tokenizer, "tokenizer", "", "bytes, llama3:FILE, a tokenizer.json, or none (default: the one in SRC)")
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
