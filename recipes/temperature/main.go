// Temperature measures how good and how varied the texts are that each sampler writes, for run.sh:
//
//	go run ./recipes/temperature measure --judge RUN [--judge RUN] [--texts N] [--bytes N] [--threads N] RUN
//	go run ./recipes/temperature report RUNS DIR
//
// measure writes texts with a language model or a baseline, and appends a line for each setting to RUN/temperature.jsonl. Settings
// that are there already are not measured again. report writes DIR/results.csv, DIR/table.md and plots of all runs in RUNS.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

const usage = `usage: temperature measure --judge RUN [--judge RUN] [--texts N] [--bytes N] [--threads N] RUN
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
	switch name, args := args[0], args[1:]; {
	case name == "report" && len(args) == 2:
		return report(args[0], args[1])
	case name == "measure":
		var o options
		fl := flag.NewFlagSet("measure", flag.ContinueOnError)
		fl.Func("judge", "a baseline `RUN` that judges the texts; may be repeated", func(dir string) error {
			o.judges = append(o.judges, dir)
			return nil
		})
		fl.IntVar(&o.texts, "texts", 32, "`N` texts of each setting")
		fl.IntVar(&o.bytes, "bytes", 128, "`N` bytes of a text")
		fl.IntVar(&o.threads, "threads", 0, "compute on `N` threads; 0 for all processors")
		if err := fl.Parse(args); err != nil {
			return err
		}
		if fl.NArg() != 1 || len(o.judges) == 0 || o.texts < 1 || o.bytes < gram {
			return fmt.Errorf("want one run, one judge or more, and at least 1 text of %d bytes\n%s", gram, usage)
		}
		return measure(ctx, fl.Arg(0), o)
	}
	return fmt.Errorf("%q is no command with %d arguments\n%s", args[0], len(args)-1, usage)
}
