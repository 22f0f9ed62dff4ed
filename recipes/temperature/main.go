// Temperature measures how good and how varied the texts are that each sampler writes, for run.sh:
//
//	go run ./recipes/temperature write [--texts N] [--bytes N] [--threads N] RUN
//	go run ./recipes/temperature judge --judge RUN [--judge RUN] [--threads N] RUN
//	go run ./recipes/temperature report RUNS DIR
//
// write writes texts with a language model or a baseline, and appends a line for each setting to RUN/texts.jsonl. Settings that are
// there already are not written again. judge measures these texts, and writes RUN/judged.jsonl. report writes DIR/results.csv,
// DIR/table.md and plots of all runs in RUNS.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

const usage = `usage: temperature write [--texts N] [--bytes N] [--threads N] RUN
       temperature judge --judge RUN [--judge RUN] [--threads N] RUN
       temperature report RUNS DIR`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "temperature:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command\n%s", usage)
	}
	name, args := args[0], args[1:]
	fl := flag.NewFlagSet(name, flag.ContinueOnError)
	texts := fl.Int("texts", 64, "`N` texts of each setting")
	size := fl.Int("bytes", 64, "`N` bytes of a text")
	threads := fl.Int("threads", 0, "compute on `N` threads; 0 for all processors")
	var judges []string
	fl.Func("judge", "a baseline `RUN` that judges the texts; may be repeated", func(dir string) error {
		judges = append(judges, dir)
		return nil
	})
	if err := fl.Parse(args); err != nil {
		return err
	}
	if *texts < 1 || *size < gram {
		return fmt.Errorf("%d texts of %d bytes: want 1 or more of at least %d bytes", *texts, *size, gram)
	}
	switch n := fl.NArg(); {
	case name == "write" && n == 1:
		return write(ctx, fl.Arg(0), *texts, *size, *threads)
	case name == "judge" && n == 1 && len(judges) > 0:
		return judgeRun(ctx, fl.Arg(0), judges, *threads)
	case name == "report" && n == 2:
		return report(fl.Arg(0), fl.Arg(1))
	}
	return fmt.Errorf("the command line lacks something\n%s", usage)
}
