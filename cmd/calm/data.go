package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm/corpus"
)

// textFlags say which text a command reads.
type textFlags struct {
	paths []string
	field string
}

// add adds --data, with what it is for, and --field.
func (f *textFlags) add(flags *pflag.FlagSet, usage string) {
	flags.StringArrayVar(&f.paths, "data", nil, usage)
	addField(flags, &f.field)
}

func addField(flags *pflag.FlagSet, field *string) {
	flags.StringVar(field, "field", "", "the field `NAME` of JSON lines or Parquet holds the text, such as content or meta.text (default text)")
}

func (f *textFlags) source(cmd *cobra.Command) corpus.Source {
	return corpus.Source{Paths: f.paths, Field: f.field, Input: cmd.InOrStdin()}
}

// tellNotes says on standard error what of a text was not read.
func tellNotes(cmd *cobra.Command, n corpus.Notes) {
	for _, line := range n.Lines() {
		fmt.Fprintln(cmd.ErrOrStderr(), "calm: note:", line)
	}
}
