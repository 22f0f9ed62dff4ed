package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/generate"
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
	root, stdout := newRoot(), &output{w: out}
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(stdout)
	root.SetErr(errOut)
	err := stdout.failed(root.ExecuteContext(ctx))
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(errOut, "calm: %v\n", err)
	return status(err)
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
	root := &cobra.Command{
		Use:   "calm",
		Short: "Continuous autoregressive language models: train, measure, write",
		Long: `calm trains language models that predict the next vector instead of the next token, measures them, and writes text
with them. Start with

  calm quickstart`,
		Example: `  calm quickstart
  calm train ae --out runs/ae --data text/ && calm train lm --ae runs/ae --out runs/lm --data text/
  calm generate runs/lm --prompt "Call me"`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          onlyHelp,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return badUsage("%w: see %s --help", err, cmd.CommandPath())
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newQuickstart(), newTrain(), newEval(), newGenerate(), newInfo(), newImport(), newExport(), newTokenizer(), newData(), newBench())
	return root
}

// onlyHelp is what a command does that has nothing but others below it.
func onlyHelp(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badUsage("there is no command %q: see %s --help", args[0], cmd.CommandPath())
	}
	return cmd.Help()
}

// badText says of an error from reading the user's text that it is his to set right.
func badText(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return badUsage("%w", err)
}

// exactly wants n positional arguments, which usage names.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return badUsage("%s takes %s: see %s --help", cmd.CommandPath(), usage, cmd.CommandPath())
		}
		return nil
	}
}

// samplingFlag adds --set for how the head of a run's model draws.
func samplingFlag(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "sampling_steps=N or solver=midpoint|euler of a diffusion or flow head; may be repeated")
}

// engineFlags are the flags of every verb that computes.
type engineFlags struct{ threads int }

func (f *engineFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads to compute on; 0 for all processors")
}

func (f *engineFlags) engine() (*cpu.Engine, error) {
	if f.threads < 0 {
		return nil, badUsage("--threads %d: want 0 for all processors, or more", f.threads)
	}
	return cpu.New(cpu.Options{Threads: f.threads}), nil
}
