package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/serve"
)

// keyVariable is the environment variable with the API key of a server.
const keyVariable = "CALM_API_KEY"

// serveCommand is calm serve with its flags.
type serveCommand struct {
	*cobra.Command
	engine  engineFlags
	options serve.Options
	addr    string
	key     string
	keyFile string
	sampler string
	maxBody int // MiB
	drain   time.Duration
}

func newServe() *cobra.Command {
	var c serveCommand
	c.Command = &cobra.Command{
		Use:   "serve [RUN...]",
		Short: "Serve runs over HTTP: OpenAI's API, and a page for browsers",
		Long: `Serve runs to other programs: texts, chats and embeddings with OpenAI's API, so that its client libraries work, and
health and metrics for those who run the server. In a browser, the page at / writes, packs and unpacks text, and shows the
curves of runs. Without RUN it serves the newest run under runs/ that can write.

A model is named as its run directory is. Several runs are loaded when they are asked for, --max-loaded at once. Texts are
written --max-streams at once; of further requests --queue wait, and the rest are refused (status 429).

The server listens on this machine only. To let others use it, give it an address with --addr, and a key with
--api-key-file or in the environment variable CALM_API_KEY; other programs of this machine can see the key of --api-key.

Fields that a likelihood-free model cannot have, such as top_p and logprobs, are errors unless their values have no effect.
--ignore-unsupported ignores them.

SIGTERM and Ctrl-C end the server: it refuses new requests (status 503) and finishes the others, those that need no more than
--drain. A second signal ends it at once.`,
		Example: `  calm serve runs/lm
  calm serve runs/small runs/large --max-loaded 1 --set dtype=bfloat16
  calm serve runs/lm --addr :8080 --api-key-file keys.txt
  calm serve runs/lm --temperature 0.7 --draws 32 --cors https://example.org`,
		RunE: func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	c.addFlags()
	return c.Command
}

func (c *serveCommand) addFlags() {
	fl, o := c.Flags(), &c.options
	c.engine.add(c.Command)
	fl.StringVar(&c.addr, "addr", "127.0.0.1:8080", "listen on `HOST:PORT`; :PORT is every address of this machine")
	fl.StringVar(&c.key, "api-key", "", "ask clients for the `KEY`")
	fl.StringVar(&c.keyFile, "api-key-file", "", "ask clients for one of the keys in `FILE`, one on each line")
	fl.StringArrayVar(&o.Origins, "cors", nil, "let pages of `ORIGIN`, such as https://example.org, use the server; * is all; may be repeated")
	numberFlag(fl, &o.MaxLoaded, "max-loaded", 4, "keep at most `N` runs in memory")
	numberFlag(fl, &o.Streams, "max-streams", 16, "write at most `N` texts at once")
	numberFlag(fl, &o.Queue, "queue", 64, "let at most `N` requests wait")
	numberFlag(fl, &o.MaxTokens, "max-tokens", 32768, "write at most `N` tokens for a request, all its texts together")
	numberFlag(fl, &c.maxBody, "max-body", 1, "take requests of at most `MIB` MiB")
	fl.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "the longest `TIME` of a request; its texts end there")
	fl.DurationVar(&c.drain, "drain", 30*time.Second, "after a signal, wait at most this `TIME` for requests to finish")
	fl.BoolVar(&o.IgnoreUnsupported, "ignore-unsupported", false, "ignore fields that the models cannot have, such as top_p")
	numberFlag(fl, &o.Temperature, "temperature", 1, "`T` from 0 to 1 of requests without one")
	fl.StringVar(&c.sampler, "sampler", "", "`NAME` of the way to choose below temperature 1, of requests without one: prefix, batch or exact (default prefix)")
	numberFlag(fl, &o.Draws, "draws", 0, "draw each patch `N` times below temperature 1, for requests that do not say how often (default: prefix 64, batch 200)")
	samplingFlag(c.Command, &o.Set)
}

// run serves the runs until a signal comes.
func (c *serveCommand) run(dirs []string) error {
	if err := c.check(); err != nil {
		return err
	}
	dirs, err := c.runs(dirs)
	if err != nil {
		return err
	}
	o := &c.options
	if o.Keys, err = c.keys(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return badUsage("--addr %s: %w", c.addr, err)
	}
	at := listener.Addr().(*net.TCPAddr)
	o.Runs, o.Threads, o.Sampler, o.MaxBody = dirs, c.engine.threads, calm.Sampler(c.sampler), int64(c.maxBody)<<20
	o.Local, o.Log = at.IP.IsLoopback(), c.ErrOrStderr()
	s, err := serve.New(*o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	c.announce(s, at)
	return s.Serve(c.Context(), listener, c.drain)
}

// check checks the flags.
func (c *serveCommand) check() error {
	o := &c.options
	for _, f := range []struct {
		name  string
		value int
		least int
	}{{"max-loaded", o.MaxLoaded, 1}, {"max-streams", o.Streams, 1}, {"queue", o.Queue, 0}, {"max-tokens", o.MaxTokens, 1}, {"max-body", c.maxBody, 1}} {
		if f.value < f.least || f.value > 1<<30 {
			return badUsage("--%s %d: want %d or more", f.name, f.value, f.least)
		}
	}
	for name, value := range map[string]time.Duration{"timeout": o.Timeout, "drain": c.drain} {
		if value < 0 || value == 0 && name == "timeout" {
			return badUsage("--%s %v: want a time such as 90s or 10m", name, value)
		}
	}
	if !(o.Temperature >= 0 && o.Temperature <= 1) {
		return badUsage("--temperature %g: want 0 to 1", o.Temperature)
	}
	if c.Flags().Changed("sampler") && !slices.Contains(generate.Samplers(), generate.Sampler(c.sampler)) {
		return badUsage("--sampler %q: want %s", c.sampler, strings.Join(values(generate.Samplers()), ", "))
	}
	if o.Draws < 0 || o.Draws > serve.MaxDraws {
		return badUsage("--draws %d: want 0 to %d", o.Draws, serve.MaxDraws)
	}
	return c.engine.check()
}

// runs returns the directories that are given, or else the newest run under runs/.
func (c *serveCommand) runs(given []string) ([]string, error) {
	if len(given) > 0 {
		return given, nil
	}
	dir, err := serve.Newest("runs")
	if errors.Is(err, serve.ErrNoRun) {
		return nil, badUsage("there is no run under runs/ that can write: make one with %s, or name a run directory", commandLine("quickstart"))
	}
	return []string{dir}, err
}

// keys returns the API keys: those of the flags, or else that of the environment.
func (c *serveCommand) keys() ([]string, error) {
	fl := c.Flags()
	switch {
	case fl.Changed("api-key") && fl.Changed("api-key-file"):
		return nil, badUsage("--api-key and --api-key-file are two ways to give a key: choose one")
	case fl.Changed("api-key"):
		return oneKey("--api-key", c.key)
	case fl.Changed("api-key-file"):
		return c.keysOfFile()
	}
	if key, ok := os.LookupEnv(keyVariable); ok {
		return oneKey(keyVariable, key)
	}
	return nil, nil
}

func oneKey(from, key string) ([]string, error) {
	if key = strings.TrimSpace(key); key == "" {
		return nil, badUsage("%s is empty: is a shell variable not set?", from)
	}
	return []string{key}, nil
}

// keysOfFile reads one key on each line. Empty lines and those that begin with # do not count.
func (c *serveCommand) keysOfFile() ([]string, error) {
	data, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, badUsage("--api-key-file: %w", err)
	}
	var keys []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, badUsage("--api-key-file %s: there is no key in it", c.keyFile)
	}
	return keys, nil
}

// announce says where the server listens, with which models, and how to try it.
func (c *serveCommand) announce(s *serve.Server, at *net.TCPAddr) {
	host := at.IP.String()
	if at.IP.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, fmt.Sprint(at.Port))
	w, key := c.OutOrStdout(), ""
	fmt.Fprintf(w, "calm serve listens on %s\n", url)
	fmt.Fprintf(w, "  page for a browser: %s/\n", url)
	for i, name := range s.Models() {
		fmt.Fprintf(w, "  model %s: %s\n", name, filepath.Clean(c.options.Runs[i]))
	}
	switch {
	case c.Flags().Changed("api-key") || c.Flags().Changed("api-key-file"):
		key = ` -H "Authorization: Bearer KEY"`
	case len(c.options.Keys) > 0:
		key = fmt.Sprintf(` -H "Authorization: Bearer $%s"`, keyVariable)
	case !at.IP.IsLoopback():
		fmt.Fprintln(c.ErrOrStderr(), "calm: warning: everybody who can reach this machine can use the server: ask for a key with --api-key-file, or listen on 127.0.0.1")
	}
	fmt.Fprintf(w, "Try it:\n  %s\n", s.Example(url, key))
	fmt.Fprintln(w, "Ctrl-C ends the server.")
}
