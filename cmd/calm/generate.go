package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/generate"
)

func newGenerate() *cobra.Command {
	var (
		f       engineFlags
		prompt  string
		ids     string
		sampler string
		set     []string
	)
	var (
		o           calm.Options
		contextFull string
	)
	cmd := &cobra.Command{
		Use:   "generate RUN",
		Short: "Write text with a run",
		Long: `Continue a prompt until the text ends, or --max-tokens are written. Without --max-tokens the text has at most as many
tokens as the context.

The context is what the model attends to at once: --context tokens, or as many as the run was trained on. When it is
full, the model reads the newest half of it again, after the token that begins a text, and goes on. Of a prompt that is
too long the model reads the end. With --context-full stop the text ends when the context is full, and a prompt that is
too long is refused.

Temperature 1 samples what the model learned. A lower temperature prefers what is frequent, and 0 takes the most
frequent. A language model has no likelihoods, so below 1 it draws each patch many times, and a sampler chooses:

  prefix  token by token, from --draws patches: temperature as other language models have it
  batch   among whole patches, from --draws of them: the paper's Algorithm 2, which repeats itself more
  exact   among whole patches, without the bias of the other two: the paper's Algorithm 1. It draws until a patch is
          accepted, --draws at most; if none is, the text so far stays and the exit status is 1. Not for temperature 0

The token-level baseline has likelihoods. It takes no sampler.`,
		Example: `  calm generate runs/lm --prompt "Call me"
  calm generate runs/lm --prompt "The whale" --temperature 0.5 --seed 7
  echo -n "It was" | calm generate runs/lm --prompt - --max-tokens 200
  calm generate runs/lm --ids 791,42,1053`,
		Args: exactly(1, "one run directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(o.Temperature >= 0 && o.Temperature <= 1) {
				return badUsage("--temperature %g: want 0 to 1", o.Temperature)
			}
			if o.Temperature == 0 {
				o.Temperature = calm.Greedy
			}
			if err := f.check(); err != nil {
				return err
			}
			byIDs := cmd.Flags().Changed("ids")
			if byIDs && cmd.Flags().Changed("prompt") {
				return badUsage("--ids and --prompt are two ways to give the prompt: choose one")
			}
			var list []int32
			if byIDs {
				var err error
				if list, err = parseIDs(ids); err == nil && len(list) == 0 {
					err = errors.New("there is no id in it")
				}
				if err != nil {
					return badUsage("--ids: %w", err)
				}
			}
			o.Sampler, o.ContextFull = calm.Sampler(sampler), calm.ContextFull(contextFull)
			if err := needless(o); err != nil {
				return err
			}
			if prompt == "-" {
				data, err := readInput(cmd)
				if err != nil {
					return fmt.Errorf("read the prompt: %w", err)
				}
				prompt = string(data)
			}
			m, err := calm.Open(args[0], calm.Threads(f.threads), calm.Set(set...))
			if err != nil {
				return err
			}
			if byIDs {
				return joinClose(writeIDs(cmd, m, list, o), m.Close)
			}
			if m.Tokenizer() == nil {
				return joinClose(badUsage("%s was imported without a tokenizer: give the prompt as --ids, and ids is what it writes", args[0]), m.Close)
			}
			return joinClose(write(cmd, m, prompt, o), m.Close)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&prompt, "prompt", "", "the `TEXT` to continue; - reads it from standard input")
	fl.StringVar(&ids, "ids", "", "the prompt as token `IDS` with commas, without BOS; the output is ids too")
	fl.IntVar(&o.MaxTokens, "max-tokens", 0, "write at most `N` tokens; 0 for as many as the context has")
	fl.IntVar(&o.Context, "context", 0, "attend to at most `N` tokens at once; 0 for as many as the run was trained on")
	fl.StringVar(&contextFull, "context-full", string(calm.Slide), "what to `DO` when the context is full: slide, to go on with the newest half of it, or stop")
	fl.Float64Var(&o.Temperature, "temperature", 1, "`T` from 0 to 1; 0 takes the most frequent token at each place")
	fl.StringVar(&sampler, "sampler", "", "`NAME` of the way to choose below temperature 1: prefix, batch or exact (default prefix)")
	fl.IntVar(&o.Draws, "draws", 0, "draw each patch `N` times below temperature 1 (default: prefix 64, batch 200), at most N times with exact (default 10000)")
	fl.Uint64Var(&o.Seed, "seed", 0, "seed of the random draws")
	samplingFlag(cmd, &set)
	return cmd
}

// samplerNames lists the values of --sampler, the default first.
func samplerNames() (names []string) {
	for _, s := range generate.Samplers() {
		names = append(names, string(s))
	}
	return names
}

// contextFullNames lists the values of --context-full, the default first.
func contextFullNames() (names []string) {
	for _, s := range generate.ContextFulls() {
		names = append(names, string(s))
	}
	return names
}

// needless refuses settings of samplers where there is nothing to set: people who give them expect more of them.
func needless(o calm.Options) error {
	switch {
	case o.Temperature != 1:
		return nil
	case o.Draws > 0:
		return badUsage("--draws %d: at --temperature 1 a patch takes one draw: leave --draws out", o.Draws)
	case o.Sampler == calm.Batch:
		return badUsage("--sampler %s is for temperatures below 1: give one, such as --temperature 0.5, or leave it out", o.Sampler)
	}
	return nil
}

func write(cmd *cobra.Command, m *calm.Model, prompt string, o calm.Options) error {
	w := cmd.OutOrStdout()
	last, begun := "", false
	put := func(text string) error {
		if !begun {
			text, begun = prompt+text, true // not before the prompt has been found good
		}
		if text != "" {
			last = text
		}
		_, err := io.WriteString(w, text)
		return err
	}
	g := m.Generate(cmd.Context(), prompt, o)
	var err error
	for text, failed := range g.Text() {
		if err = failed; err != nil || put(text) != nil {
			break
		}
	}
	if !begun && status(err) != exitUsage {
		_ = put("") // nothing came of it, and the prompt stands
	}
	if begun && !strings.HasSuffix(last, "\n") {
		fmt.Fprintln(w)
	}
	sayEnd(cmd, g.Result(), err)
	return err
}

// sayEnd says why a text ended, where that does not show.
func sayEnd(cmd *cobra.Command, result calm.Result, err error) {
	if message := result.Message(); message != "" && err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "calm: %s\n", message)
	}
}

// writeIDs is write for ids: those of the prompt and what follows them, with commas, as --ids takes them.
func writeIDs(cmd *cobra.Command, m *calm.Model, prompt []int32, o calm.Options) error {
	w, begun := cmd.OutOrStdout(), false
	put := func(list []int32) error {
		if !begun { // not before the prompt has been found good
			list = append(append([]int32{}, prompt...), list...)
		}
		for _, id := range list {
			comma := ","
			if !begun {
				comma, begun = "", true
			}
			if _, err := fmt.Fprintf(w, "%s%d", comma, id); err != nil {
				return err
			}
		}
		return nil
	}
	g := m.GenerateIDs(cmd.Context(), prompt, o)
	var err error
	for chunk, failed := range g.Chunks() {
		if err = failed; err != nil || put(chunk.Tokens) != nil {
			break
		}
	}
	if !begun && status(err) != exitUsage {
		_ = put(nil) // nothing came of it, and the prompt stands
	}
	if begun {
		fmt.Fprintln(w)
	}
	sayEnd(cmd, g.Result(), err)
	return err
}
