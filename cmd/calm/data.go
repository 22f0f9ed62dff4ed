package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm/corpus"
)

// textFlags are the flags that name the text of a command.
type textFlags struct {
	paths []string
	field string
}

// add adds the flags --data, with its help text, and --field.
func (f *textFlags) add(flags *pflag.FlagSet, usage string) {
	flags.StringArrayVar(&f.paths, "data", nil, usage)
	addField(flags, &f.field)
}

func addField(flags *pflag.FlagSet, field *string) {
	flags.StringVar(field, "field", "", "`NAME` of the field of JSON lines or Parquet that contains the text, such as content or meta.text (default text)")
}

func (f *textFlags) source(cmd *cobra.Command) corpus.Source {
	return corpus.Source{Paths: f.paths, Field: f.field, Input: cmd.InOrStdin()}
}

// tellNotes prints on standard error which parts of a text were not read.
func tellNotes(cmd *cobra.Command, n corpus.Notes) {
	for _, line := range n.Lines() {
		fmt.Fprintln(cmd.ErrOrStderr(), "calm: note:", line)
	}
}
