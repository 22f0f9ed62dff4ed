package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// ending is the reason for which a command is to end before its work is done: a signal, or an output that nobody reads any more.
// Commands save their work when the context ends.
type ending struct {
	context.Context
	cancel context.CancelFunc
	heard  chan os.Signal // the first signal
	deaf   chan os.Signal // signals that must not end the process; nobody receives them
	once   sync.Once
	over   chan struct{}
	broken io.Writer // the output whose reader is gone; nil: none
}

// listen returns a context that ends at the first SIGINT (Ctrl-C), SIGTERM or SIGHUP (the terminal was closed), and when the reader of
// an output is gone. A second Ctrl-C or SIGTERM ends the process at once. A second SIGHUP does not, nor a SIGTERM after it: shells,
// terminals and service managers send several. A signal that the process was started to ignore, as nohup does with SIGHUP, is ignored.
func listen() *ending {
	e := &ending{heard: make(chan os.Signal, 1), deaf: make(chan os.Signal, 1), over: make(chan struct{})}
	e.Context, e.cancel = context.WithCancel(context.Background())
	hear(e.heard, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Without this, the first write to a pipe that nobody reads ends the process, and what is not saved is lost.
	hear(e.deaf, syscall.SIGPIPE)
	go func() {
		select {
		case s := <-e.heard:
			e.cancel()
			hear(e.deaf, syscall.SIGHUP)
			if s == syscall.SIGHUP {
				hear(e.deaf, syscall.SIGTERM)
			}
			signal.Stop(e.heard)
		case <-e.over:
		}
	}()
	return e
}

// hear makes a channel receive signals, except for those that the process was started to ignore.
func hear(c chan<- os.Signal, signals ...os.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
}

// hearing returns a copy of ctx that ends at one of the signals too, as hear hears them. The function ends the listening.
func hearing(ctx context.Context, signals ...os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	heard := make(chan os.Signal, 1)
	hear(heard, signals...)
	go func() {
		select {
		case <-heard:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(heard)
		cancel()
	}
}

// on returns a function for the errors of writing to w. It ends the context if the reader of a pipe is gone.
func (e *ending) on(w io.Writer) func(error) {
	return func(err error) {
		if errors.Is(err, syscall.EPIPE) {
			e.broken = w
			e.cancel()
		}
	}
}

// byPipe ends the process by SIGPIPE if the reader of an output is gone, as is usual for commands that have nothing to save. The
// command's own error would say no more.
func (e *ending) byPipe() {
	if e.broken != nil {
		e.stop()
		_, _ = e.broken.Write([]byte("\n"))
	}
}

// stop ends the listening.
func (e *ending) stop() {
	e.once.Do(func() { close(e.over) })
	e.cancel()
	signal.Stop(e.heard)
	signal.Stop(e.deaf)
}
