package main

import (
	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/interchange"
)

func newExport() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "export RUN DIR",
		Short: "Export a run as a directory that the PyTorch reference loads",
		Long: `Write a run as a directory that the PyTorch reference loads with from_pretrained: config.json, model.safetensors, and the
tokenizer's files. The export of a language model also has its autoencoder, both in model.safetensors and in
DIR/autoencoder. ae_path in config.json names that directory, relative to DIR.`,
		Example: `  calm export runs/lm exported/lm
  calm export runs/ae exported/ae --dtype bfloat16`,
		Args: exactly(2, "a run directory and the directory to make"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := interchange.Export(cmd.Context(), args[0], args[1], format)
			if err != nil {
				return err
			}
			printReport(cmd, args[1], r)
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "dtype", "", "`FORMAT` of the weights: float32, bfloat16 or float16 (default: the run's)")
	return cmd
}
