package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// places are the placeholders of arguments that name a file or a directory, in the help of flags.
var places = []string{"PATH", "FILE", "DIR", "RUN", "SRC", "TOKENIZER"}

// refuseEmpty returns an error for an empty argument, and for an empty path given to a flag. Such a path would name the working
// directory or the default, and comes from a shell variable that is not set.
func refuseEmpty(cmd *cobra.Command, args []string) error {
	if strings.HasPrefix(cmd.Name(), "__") { // shell completion, whose last argument is the word being typed
		return nil
	}
	if slices.Contains(args, "") {
		return badUsage("an argument is empty: is a shell variable not set? See %s --help", cmd.CommandPath())
	}
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && takesPath(f) && slices.Contains(valuesOf(f), "") {
			err = badUsage("--%s is empty, want a path: is a shell variable not set?", f.Name)
		}
	})
	return err
}

// takesPath reports whether the argument of a flag is a path, by its placeholder.
func takesPath(f *pflag.Flag) bool {
	place, _ := pflag.UnquoteUsage(f)
	return f.Value.Type() != "bool" && slices.Contains(places, place)
}

// valuesOf returns the arguments that were given to a flag.
func valuesOf(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}
