package main

import "github.com/spf13/cobra"

// newHelp replaces cobra's help command, which prints the root's help for an unknown command.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command, as --help does",
		Example: "  calm help train lm",
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, noFiles
			}
			return beginning(names(of), toComplete), noFiles
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) == 0 {
				of.InitDefaultHelpFlag()
				return of.Help()
			}
			if err != nil || of == nil {
				of, rest = cmd.Root(), args
			}
			return badUsage("%s has no command %q%s", of.CommandPath(), rest[0], hint(of, "", rest[0], names(of)))
		},
	}
}

// names lists the subcommands of a command.
func names(cmd *cobra.Command) (list []string) {
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			list = append(list, below.Name())
		}
	}
	return list
}
