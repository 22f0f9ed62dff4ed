package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/terminal"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // state saved
)

// What a verb returns when Ctrl-C ended it in good order.
var (
	errInterrupted = errors.New("interrupted; what was done is saved")
	errStopped     = errors.New("interrupted; there was nothing to save yet")
)

// execute runs the command and returns its exit status.
func execute(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	// All that is printed goes through these two: text from outside must not steer a terminal.
	screen, errScreen := terminal.New(out), terminal.New(errOut)
	root, stdout := newRoot(), &output{w: screen}
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(stdout)
	root.SetErr(errScreen)
	err := root.ExecuteContext(ctx)
	if lost := screen.Flush(); err == nil {
		err = lost
	}
	if err = stdout.failed(err); err == nil {
		return exitDone
	}
	fmt.Fprintf(errScreen, "calm: %s\n", inWords(err))
	return status(err)
}

// inWords is what a person is told of an error: of an interruption that it was one, wherever it struck, and what behind
// it says what is kept.
func inWords(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") { // of several errors that were joined
		if _, after, ok := strings.Cut(line, context.Canceled.Error()); ok {
			line = "interrupted" + after
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// status maps an error to an exit status.
func status(err error) int {
	var (
		badConfig *config.Error
		badUse    *run.UsageError
		badInput  *generate.InputError
	)
	switch {
	case errors.Is(err, errInterrupted), errors.Is(err, errStopped), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &badConfig), errors.As(err, &badUse), errors.As(err, &badInput):
		return exitUsage
	case errors.Is(err, corpus.ErrTooShort), errors.Is(err, eval.ErrShortBlock), errors.Is(err, calm.ErrKind), errors.Is(err, checkpoint.ErrNoCheckpoint):
		return exitUsage
	}
	return exitFailed
}

// badUsage is a mistake on the command line.
func badUsage(format string, args ...any) error {
	return &run.UsageError{Err: fmt.Errorf(format, args...)}
}

func newRoot() *cobra.Command {
	var asked bool
	root := &cobra.Command{
		Use:   "calm",
		Short: "Continuous autoregressive language models: train, measure, write",
		Long: `calm trains language models that predict the next vector instead of the next token, measures them, and writes text
with them. Start with

  calm quickstart

The exit status is 0 when all is done, 1 when something failed, 2 for a wrong command line or wrong input, and 130 when
Ctrl-C stopped calm and it saved what was done.`,
		Example: `  calm quickstart
  calm train ae --out runs/ae --data text/ && calm train lm --ae runs/ae --out runs/lm
  calm generate runs/lm --prompt "Call me"`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asked && len(args) == 0 {
				_, err := io.WriteString(cmd.OutOrStdout(), version())
				return err
			}
			return onlyHelp(cmd, args)
		},
	}
	root.Flags().BoolVar(&asked, "version", false, "show the version")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.AddCommand(newQuickstart(), newTrain(), newEval(), newGenerate(), newInfo(), newImport(), newExport(), newTokenizer(), newData(), newBench(), newCompletion(), newVersion())
	addCompletion(root)
	return root
}

// flagError says what is wrong with a flag, of a number without what the parser of numbers calls it.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				flags = append(flags, f.Name)
			}
		})
		return badUsage("there is no flag --%s%s", unknown.GetSpecifiedName(), hint(cmd, "--", unknown.GetSpecifiedName(), flags))
	}
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return badUsage("%w: see %s --help", err, cmd.CommandPath())
	}
	want := map[string]string{"int": "a whole number", "uint64": "a whole number from 0 on", "float64": "a number",
		"intSlice": "whole numbers with commas between them", "bool": "true or false"}[bad.GetFlag().Value.Type()]
	switch {
	case want == "":
		return badUsage("%w: see %s --help", err, cmd.CommandPath())
	case errors.Is(err, strconv.ErrRange):
		want += ", and closer to 0"
	}
	return badUsage("--%s %q: want %s: see %s --help", bad.GetFlag().Name, bad.GetValue(), want, cmd.CommandPath())
}

// onlyHelp is what a command does that has nothing but others below it.
func onlyHelp(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badUsage("there is no command %q%s", args[0], hint(cmd, "", args[0], names(cmd)))
	}
	return cmd.Help()
}

// hint is the end of a message about a name that there is not: the nearest that there is, with what stands before it, or
// where all are listed.
func hint(cmd *cobra.Command, before, name string, candidates []string) string {
	if near := config.Nearest(name, candidates); near != "" {
		return fmt.Sprintf("; did you mean %s%s? (%s --help lists all)", before, near, cmd.CommandPath())
	}
	return fmt.Sprintf(": see %s --help", cmd.CommandPath())
}

// badText says of an error from reading text that names its file itself that it is the user's to set right.
func badText(ctx context.Context, err error) error { return run.BadText(ctx, "", err) }

// exactly wants n positional arguments, which usage names.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return badUsage("%s takes %s: see %s --help", cmd.CommandPath(), usage, cmd.CommandPath())
		}
		return nil
	}
}

// readInput reads standard input to its end, or to Ctrl-C: a terminal's end may never come.
func readInput(cmd *cobra.Command) ([]byte, error) {
	var (
		data []byte
		err  error
		read = make(chan struct{})
	)
	go func() {
		data, err = io.ReadAll(cmd.InOrStdin())
		close(read)
	}()
	select {
	case <-read:
		return data, err
	case <-cmd.Context().Done():
		return nil, cmd.Context().Err()
	}
}

// samplingFlag adds --set for how the head of a run's model draws.
func samplingFlag(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "`KEY=VALUE`: dtype=bfloat16, or how a diffusion or flow head draws: sampling_steps=N, solver=midpoint or euler; may be repeated")
}

// engineFlags are the flags of every verb that computes.
type engineFlags struct{ threads int }

func (f *engineFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.threads, "threads", 0, "compute on `N` threads; 0 for all processors")
}

func (f *engineFlags) check() error {
	if f.threads < 0 || f.threads > cpu.MaxThreads {
		return badUsage("--threads %d: want 0 for all processors, or up to %d", f.threads, cpu.MaxThreads)
	}
	return nil
}

func (f *engineFlags) engine() (*cpu.Engine, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return cpu.New(cpu.Options{Threads: f.threads}), nil
}
