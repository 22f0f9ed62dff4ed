package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm"
)

// generateCommand is calm generate with its flags.
type generateCommand struct {
	*cobra.Command
	engine      engineFlags
	options     calm.Options
	prompt      string
	promptFile  string
	ids         string
	sampler     string
	contextFull string
	count       int // of texts
	echo        bool
	asJSON      bool
	quiet       bool   // do not say why a text ends
	said        string // why the last text ended, if that was said
	set         []string
}

// prompt is what to continue: text, or ids.
type prompt struct {
	text  string
	ids   []int32
	byIDs bool
}

func newGenerate() *cobra.Command {
	var c generateCommand
	c.Command = &cobra.Command{
		Use:   "generate RUN",
		Short: "Write text with a run",
		Long: `Continue a prompt until the text ends, a --stop text comes, or --max-tokens are written. Without --max-tokens the text
has at most as many tokens as the context.

The context is what the model attends to at once: --context tokens, or as many as the run was trained on. When it is
full, the model reads the newest half of it again, after the token that begins a text, and goes on. Of a prompt that is
too long the model reads the end. With --context-full stop the text ends when the context is full, and a prompt that is
too long is refused.

On a terminal, without a prompt, calm continues each line that you type. Ctrl-C ends a text, and Ctrl-D ends calm.
Elsewhere a text without a prompt begins as a document does; --prompt - reads standard input.

Temperature 1 samples what the model learned. A lower temperature prefers what is frequent, and 0 takes the most
frequent. A language model has no likelihoods, so below 1 it draws each patch many times, and a sampler chooses:

  prefix  token by token, from --draws patches: temperature as other language models have it
  batch   among whole patches, from --draws of them: the paper's Algorithm 2, which repeats itself more
  exact   among whole patches, without the bias of the other two: the paper's Algorithm 1. It draws until a patch is
          accepted, --draws at most; if none is, the text so far stays and the exit status is 1. Not for temperature 0

The token-level baseline has likelihoods. It takes no sampler and no draws.`,
		Example: `  calm generate runs/lm --prompt "Call me"
  calm generate runs/lm --prompt "The whale" --temperature 0.5 --seed 7
  calm generate runs/lm --prompt "Call me" -n 5 --stop "." --json
  echo -n "It was" | calm generate runs/lm --prompt - --max-tokens 2000
  calm generate runs/lm
  calm generate runs/lm --ids 791,42,1053`,
		Args: exactly(1, "one run directory"),
		RunE: func(_ *cobra.Command, args []string) error { return c.run(args[0]) },
	}
	c.engine.add(c.Command)
	c.addFlags()
	return c.Command
}

func (c *generateCommand) addFlags() {
	fl, o := c.Flags(), &c.options
	fl.StringVar(&c.prompt, "prompt", "", "the `TEXT` to continue; - reads it from standard input")
	fl.StringVar(&c.promptFile, "prompt-file", "", "continue the text in `FILE`, with its last line break")
	fl.StringVar(&c.ids, "ids", "", "the prompt as token `IDS` with commas, without BOS; the output is ids too")
	fl.BoolVar(&c.echo, "echo", true, "print the prompt in front of the text; for lines that you type only if it is set")
	numberFlag(fl, &o.MaxTokens, "max-tokens", 0, "write at most `N` tokens; 0 for as many as the context has")
	fl.StringArrayVar(&o.StopTexts, "stop", nil, "end the text before `TEXT`; may be repeated")
	numberFlagP(fl, &c.count, "n", "n", 1, "write `N` texts, with seeds that follow each other")
	numberFlag(fl, &o.Context, "context", 0, "attend to at most `N` tokens at once; 0 for as many as the run was trained on")
	fl.StringVar(&c.contextFull, "context-full", string(calm.Slide), "what to `DO` when the context is full: slide, to go on with the newest half of it, or stop")
	numberFlag(fl, &o.Temperature, "temperature", 1, "`T` from 0 to 1; 0 takes the most frequent token at each place")
	fl.StringVar(&c.sampler, "sampler", "", "`NAME` of the way to choose below temperature 1: prefix, batch or exact (default prefix)")
	numberFlag(fl, &o.Draws, "draws", 0, "draw each patch `N` times below temperature 1 (default: prefix 64, batch 200), at most N times with exact (default 10000)")
	numberFlag(fl, &o.Seed, "seed", 0, "seed of the random draws")
	samplingFlag(c.Command, &c.set)
	fl.BoolVar(&c.asJSON, "json", false, "print one JSON object for each text")
}

// run does the command with a run directory.
func (c *generateCommand) run(dir string) error {
	if err := c.check(); err != nil {
		return err
	}
	typed := c.isTyped()
	var p prompt
	if !typed {
		var err error
		if p, err = c.readPrompt(); err != nil {
			return err
		}
	}
	m, err := calm.Open(dir, calm.Threads(c.engine.threads), calm.Set(c.set...))
	if err != nil {
		return err
	}
	if !p.byIDs && m.Tokenizer() == nil {
		return joinClose(badUsage("%s was imported without a tokenizer: give the prompt as --ids, and ids is what it writes", dir), m.Close)
	}
	if typed {
		return joinClose(c.converse(m), m.Close)
	}
	return joinClose(c.writeTexts(c.Context(), m, p, c.options), m.Close)
}

// check completes the options, and checks what does not need the run.
func (c *generateCommand) check() error {
	o := &c.options
	if !(o.Temperature >= 0 && o.Temperature <= 1) {
		return badUsage("--temperature %g: want 0 to 1", o.Temperature)
	}
	if o.Temperature == 0 {
		o.Temperature = calm.Greedy
	}
	if c.count < 1 {
		return badUsage("-n %d: want 1 or more", c.count)
	}
	given := ""
	for _, name := range []string{"prompt", "prompt-file", "ids"} {
		if !c.Flags().Changed(name) {
			continue
		}
		if given != "" {
			return badUsage("--%s and --%s are two ways to give the prompt: choose one", given, name)
		}
		given = name
	}
	for _, name := range []string{"sampler", "context-full"} {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return badUsage("--%s is empty: is a shell variable not set?", name)
		}
	}
	o.Sampler, o.ContextFull = calm.Sampler(c.sampler), calm.ContextFull(c.contextFull)
	if err := needless(*o); err != nil {
		return err
	}
	return c.engine.check()
}

// needless refuses settings of samplers where there is nothing to set: people who give them expect more of them.
func needless(o calm.Options) error {
	switch {
	case o.Temperature != 1:
		return nil
	case o.Draws > 0:
		return badUsage("--draws %d: at --temperature 1 a patch takes one draw: leave --draws out", o.Draws)
	case o.Sampler != "":
		return badUsage("--sampler %s is for temperatures below 1: give one, such as --temperature 0.5, or leave it out", o.Sampler)
	}
	return nil
}

// readPrompt returns the prompt that the flags give; without one, no text.
func (c *generateCommand) readPrompt() (prompt, error) {
	switch {
	case c.Flags().Changed("ids"):
		list, err := readIDs(strings.NewReader(c.ids))
		if err == nil && len(list) == 0 {
			err = errors.New("there is no id in it")
		}
		if err != nil {
			return prompt{}, badUsage("--ids: %w", err)
		}
		return prompt{ids: list, byIDs: true}, nil
	case c.Flags().Changed("prompt-file"):
		data, err := readWhole(c.Command, c.promptFile, &lateFile{path: c.promptFile})
		if err != nil && c.Context().Err() == nil {
			err = badUsage("--prompt-file: %w", err)
		}
		return prompt{text: strings.TrimPrefix(string(data), "\ufeff")}, err // some editors begin a file with this mark
	case c.prompt == "-":
		data, err := readWhole(c.Command, "standard input", c.InOrStdin())
		if err != nil {
			return prompt{}, fmt.Errorf("read the prompt: %w", err)
		}
		return prompt{text: string(data)}, nil
	}
	return prompt{text: c.prompt}, nil
}

// values returns the values of a flag as text.
func values[T ~string](all []T) []string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = string(v)
	}
	return texts
}
