package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/interruptible"
	"github.com/calm-go/calm/internal/plural"
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

// Errors of a command that a signal ended.
var (
	errInterrupted = errors.New("interrupted; the work so far is saved")
	errStopped     = errors.New("interrupted; nothing to save yet")
)

// execute runs the command and returns its exit status.
func execute(args []string, in io.Reader, out, errOut io.Writer) int {
	// All output goes through these two. They make control characters in text from outside harmless.
	screen, errScreen := terminal.New(out), terminal.New(errOut)
	end := listen()
	screen.OnError(end.on(out))
	errScreen.OnError(end.on(errOut))
	root, stdout := newRoot(), &output{w: screen}
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(stdout)
	root.SetErr(errScreen)
	err := root.ExecuteContext(end)
	if lost := screen.Flush(); err == nil {
		err = lost
	}
	err = stdout.failed(err)
	if status(err) != exitInterrupted {
		end.byPipe()
	}
	defer end.stop()
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(errScreen, "calm: %s\n", message(err))
	return status(err)
}

// maxMessage is the largest number of lines of an error.
const maxMessage = 2 * plural.MaxLines

// message formats an error for people. A canceled context becomes "interrupted", followed by the rest of its line, which says
// what is saved. Equal lines of joined errors appear once. Of very many lines the first are shown.
func message(err error) string {
	var lines []string
	seen, more := map[string]bool{}, 0
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if _, after, ok := strings.Cut(line, context.Canceled.Error()); ok {
			line = "interrupted" + after
		}
		switch {
		case len(lines) == maxMessage:
			more++
		case !seen[line]:
			seen[line] = true
			lines = append(lines, line)
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
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

// badUsage returns the error of a mistake on the command line.
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

The exit status is 0 on success, 1 on a failure, 2 for a wrong command line or wrong input, and 130 when Ctrl-C, a closed
terminal or a closed pipe stopped calm; the work so far is then saved. Where there is nothing to save, a closed pipe
ends calm as it ends other programs (141 in a shell).`,
		Example: `  calm quickstart
  calm train ae --out runs/ae --data text/ && calm train lm --ae runs/ae --out runs/lm
  calm generate runs/lm --prompt "Call me"`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.ArbitraryArgs,
		PersistentPreRunE: refuseEmpty,
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
	root.AddCommand(newQuickstart(), newTrain(), newEval(), newGenerate(), newServe(), newInfo(), newImport(), newExport(), newTokenizer(), newData(), newBench(), newCompletion(), newVersion())
	addCompletion(root)
	return root
}

// flagError turns an error of the flag parser into a message without the parser's internal names.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				flags = append(flags, f.Name)
			}
		})
		return badUsage("unknown flag --%s%s", unknown.GetSpecifiedName(), hint(cmd, "--", unknown.GetSpecifiedName(), flags))
	}
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return badUsage("%w: see %s --help", err, cmd.CommandPath())
	}
	want := map[string]string{"int": "a whole number", "uint64": "a whole number, 0 or more", "float64": "a number",
		"intSlice": "whole numbers with commas between them", "bool": "true or false", "duration": "a time such as 90s or 10m"}[bad.GetFlag().Value.Type()]
	switch {
	case want == "":
		return badUsage("%w: see %s --help", err, cmd.CommandPath())
	case errors.Is(err, strconv.ErrRange):
		want += ", and this one is too large"
	}
	return badUsage("--%s %q: want %s: see %s --help", bad.GetFlag().Name, bad.GetValue(), want, cmd.CommandPath())
}

// onlyHelp runs a command that only has subcommands: it prints its help.
func onlyHelp(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badUsage("unknown command %q%s", args[0], hint(cmd, "", args[0], names(cmd)))
	}
	return cmd.Help()
}

// hint returns the end of a message about an unknown name: the candidate that was probably meant, with before in front of it,
// or else the command that lists all.
func hint(cmd *cobra.Command, before, name string, candidates []string) string {
	if near := config.Nearest(name, candidates); near != "" {
		return fmt.Sprintf("; did you mean %s%s? (%s --help lists all)", before, near, cmd.CommandPath())
	}
	return fmt.Sprintf(": see %s --help", cmd.CommandPath())
}

// badText turns an error from reading text, which names its file, into a *run.UsageError: the text is the user's input. A nil
// error stays nil. If ctx has ended, the error stays as it is.
func badText(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return badUsage("%w", err)
}

// exactly checks that there are n positional arguments. usage describes them.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return badUsage("%s takes %s: see %s --help", cmd.CommandPath(), usage, cmd.CommandPath())
		}
		return nil
	}
}

// maxInput is the largest number of bytes of a prompt, or of standard input, that is read into memory.
const maxInput = 64 << 20

// readWhole reads in, which is called name in errors, to its end. It returns early when Ctrl-C ends the context.
func readWhole(cmd *cobra.Command, name string, in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(interruptible.Reader(cmd.Context(), in), maxInput+1))
	if err == nil && len(data) > maxInput {
		err = badUsage("%s has more than %d MiB", name, maxInput>>20)
	}
	return data, err
}

// lateFile is a file that is opened by the first Read, since opening a pipe waits for its writer.
type lateFile struct {
	path string
	file *os.File
}

// Read implements [io.Reader].
func (f *lateFile) Read(p []byte) (n int, err error) {
	if f.file == nil {
		if f.file, err = os.Open(f.path); err != nil {
			return 0, err
		}
	}
	if n, err = f.file.Read(p); err != nil {
		f.file.Close()
	}
	return n, err
}

// samplingFlag adds --set for the keys that can be set for a trained model.
func samplingFlag(cmd *cobra.Command, set *[]string) {
	var keys []string
	for _, key := range head.SamplingKeys() {
		keys = append(keys, key+" ("+strings.Join(kindsWith(key), ", ")+")")
	}
	cmd.Flags().StringArrayVar(set, "set", nil, "`KEY=VALUE`: dtype=bfloat16 or int8, or how the head samples: "+strings.Join(keys, ", ")+"; may be repeated")
}

// kindsWith lists the kinds of heads that have a sampling key.
func kindsWith(key string) []string {
	var names []string
	for _, k := range head.Kinds() {
		if slices.Contains(k.SamplingKeys, key) {
			names = append(names, k.Name)
		}
	}
	return names
}

// engineFlags are the flags of every command that computes.
type engineFlags struct{ threads int }

func (f *engineFlags) add(cmd *cobra.Command) {
	numberFlag(cmd.Flags(), &f.threads, "threads", 0, "compute on `N` threads; 0 for all processors")
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
