package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/calm-go/calm"
)

// isTyped reports whether prompts are lines that somebody types: no flag gives one, and both ends are a terminal.
func (c *generateCommand) isTyped() bool {
	for _, name := range []string{"prompt", "prompt-file", "ids", "json"} {
		if c.Flags().Changed(name) {
			return false
		}
	}
	in, isFile := c.InOrStdin().(*os.File)
	out, isOutput := c.OutOrStdout().(*output)
	return isFile && isOutput && term.IsTerminal(int(in.Fd())) && out.terminal()
}

// converse continues the lines that are typed on a terminal. The seeds of their texts follow each other.
func (c *generateCommand) converse(m *calm.Model) error {
	if err := m.Generate(c.Context(), "", c.options).Err(); err != nil {
		return err
	}
	if !c.Flags().Changed("echo") {
		c.echo = false // the line is on the screen
	}
	c.quiet = true
	// Ctrl-C ends a text here, not the command. execute has cancelled the command's context then.
	ctx, stop := hearing(context.WithoutCancel(c.Context()), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	hear(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	if err := c.Context().Err(); err != nil { // a signal came while the run was opened
		return err
	}
	fmt.Fprintln(c.ErrOrStderr(), "calm continues each line. Ctrl-C ends a text, Ctrl-D ends calm.")
	o := c.options
	talk := conversation{in: c.InOrStdin(), out: c.OutOrStdout(), errOut: c.ErrOrStderr(), interrupts: interrupts}
	talk.prompt = func() string { return fmt.Sprintf("seed %d> ", o.Seed) }
	talk.answer = func(ctx context.Context, line string) error {
		err := c.writeTexts(ctx, m, prompt{text: line}, o)
		o.Seed += uint64(c.count)
		return err
	}
	return talk.run(ctx)
}

// conversation is a loop of lines and answers. An interrupt ends an answer, the end of the input the loop.
type conversation struct {
	in          io.Reader
	out, errOut io.Writer
	interrupts  <-chan os.Signal
	prompt      func() string // shown where a line is expected
	answer      func(ctx context.Context, line string) error
}

// run converses until the input or ctx ends. Errors of answers are shown, and the loop goes on.
func (t *conversation) run(ctx context.Context) error {
	lines := t.lines(ctx)
	for {
		if _, err := io.WriteString(t.out, t.prompt()); err != nil {
			return err
		}
		select {
		case line, more := <-lines:
			if !more {
				fmt.Fprintln(t.out)
				return ctx.Err()
			}
			err := t.interruptible(ctx, line)
			if err != nil && !errors.Is(err, context.Canceled) {
				fmt.Fprintf(t.errOut, "calm: %s\n", message(err))
			}
		case <-t.interrupts:
			fmt.Fprintln(t.out)
			fmt.Fprintln(t.errOut, "calm: Ctrl-D ends calm")
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			fmt.Fprintln(t.out)
			return ctx.Err()
		}
	}
}

// interruptible answers a line. An interrupt cancels the answer.
func (t *conversation) interruptible(ctx context.Context, line string) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-t.interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := t.answer(ctx, line)
	cancel()
	<-watched
	return err
}

// lines returns a channel of the lines of the input, without their ends. It is closed at the end of the input.
func (t *conversation) lines(ctx context.Context) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewReader(t.in); ; {
			line, err := in.ReadString('\n')
			if err == nil || line != "" {
				select {
				case lines <- strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"):
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}
