package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/bench"
)

func newBenchServe(f *benchFlags) *cobra.Command {
	var o bench.ServeOptions
	cmd := &cobra.Command{
		Use:   "serve [RUN]",
		Short: "Measure texts that are written at the same time",
		Long: `Measure how fast one model writes several texts at the same time, with a run's weights or with random ones. Each reader
reads one text after the other. The median time is that from a patch of a text to its next; tokens/s are those of all texts
together.`,
		Example: `  calm bench serve --preset calm-m
  calm bench serve runs/lm --http
  calm bench serve runs/lm --streams 1,8,16 --temperature 0.5`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Run, err = runArgument(cmd, args); err != nil {
				return err
			}
			if o.Options, err = f.options(cmd, 5); err != nil {
				return err
			}
			return bench.Serve(cmd.Context(), o)
		},
	}
	fl := cmd.Flags()
	writingFlags(cmd, &o.GenerateOptions, 16)
	fl.BoolVar(&o.HTTP, "http", false, "measure the run over HTTP too, with a server and readers on this machine")
	numberListFlag(fl, &o.Streams, "streams", []int{1, 2, 4, 8, 16}, "numbers `N,N` of texts at the same time; the first is what others are compared with")
	numberFlag(fl, &o.Tokens, "tokens", 128, "`N` tokens of a text")
	return cmd
}

// writingFlags adds the flags of measurements that write, with the default length of a prompt.
func writingFlags(cmd *cobra.Command, o *bench.GenerateOptions, prompt int) {
	fl := cmd.Flags()
	fl.StringSliceVar(&o.Presets, "preset", nil, "presets `NAMES` of language models, with commas (default: lm-bytes,lm-proto)")
	fl.StringArrayVar(&o.Set, "set", nil, "`KEY=VALUE` changes the configuration, or dtype=bfloat16 or int8; for a run only dtype, "+strings.Join(head.SamplingKeys(), ", ")+"; may be repeated")
	numberFlag(fl, &o.Prompt, "prompt", prompt, "`N` tokens of the prompt")
	numberFlag(fl, &o.Temperature, "temperature", 1, "`T` from 0 to 1; 0 takes the most frequent token at each place")
	fl.StringVar((*string)(&o.Sampler), "sampler", "", "`NAME` of the way to choose below temperature 1: prefix, batch or exact (default prefix)")
	numberFlag(fl, &o.Draws, "draws", 0, "draw each patch `N` times below temperature 1, see calm generate --help")
}
