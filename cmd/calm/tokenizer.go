package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/interruptible"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/tokenizer"
)

func newTokenizer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train a tokenizer, describe one, or turn text into ids and back",
		Example: `  calm tokenizer train --out bpe.json --data text/
  echo -n 'Call me Ishmael.' | calm tokenizer encode --tokenizer bpe.json`,
		Args: cobra.ArbitraryArgs,
		RunE: onlyHelp,
	}
	cmd.AddCommand(newTokenizerTrain(), newTokenizerEncode(), newTokenizerDecode(), newTokenizerInfo())
	return cmd
}

func newTokenizerTrain() *cobra.Command {
	var (
		out   string
		vocab int
		text  textFlags
	)
	cmd := &cobra.Command{
		Use:     "train --out FILE",
		Short:   "Train a byte-level BPE tokenizer on text",
		Example: "  calm tokenizer train --out bpe.json --vocab 4096 --data text/",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return badUsage("tokenizer train needs --out FILE, the tokenizer.json to write")
			}
			if err := atomicfile.CanWrite(out); err != nil { // before the text is read
				return badUsage("--out %s: %w", out, err)
			}
			r, err := corpus.NewReader(text.source(cmd))
			if err != nil {
				return badUsage("--data: %w", err)
			}
			var failed error
			tok, err := tokenizer.TrainBPE(cmd.Context(), texts(r.Documents(cmd.Context()), &failed), vocab, nil)
			if err = errors.Join(failed, err); err != nil {
				return badText(cmd.Context(), err)
			}
			tellNotes(cmd, r.Notes())
			if tok.VocabSize() == tokenizer.Bytes().VocabSize() && vocab > tok.VocabSize() {
				return badUsage("--data: the text is too short: it has no pair of tokens to merge")
			}
			if err := tok.Save(out); err != nil {
				return err
			}
			fewer := ""
			if tok.VocabSize() < vocab {
				fewer = fmt.Sprintf("; the text has too few pairs to merge for --vocab %d", vocab)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s%s\n", out, plural.Count(tok.VocabSize(), "token"), fewer)
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&out, "out", "", "the tokenizer.json to write, at `FILE`")
	numberFlag(fl, &vocab, "vocab", 4096, "tokens of the vocabulary, including special tokens")
	text.add(fl, "text at `PATH`: a file, a directory, or - for standard input; may be repeated (default: the embedded book)")
	return cmd
}

// texts iterates over the texts of documents. It stops at the first error, and stores it in failed.
func texts(docs iter.Seq2[corpus.Document, error], failed *error) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for d, err := range docs {
			if err != nil {
				*failed = err
				return
			}
			if !yield(d.Text) {
				return
			}
		}
	}
}

// tokenizerFlag is the flag that chooses a tokenizer.
type tokenizerFlag struct{ name string }

func (f *tokenizerFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "tokenizer", "bytes", "`TOKENIZER`: bytes, llama3:FILE or a tokenizer.json")
}

// open returns the tokenizer that the flag names.
func (f *tokenizerFlag) open() (*tokenizer.Tokenizer, error) {
	tok, err := tokenizer.Named(f.name)
	if err != nil {
		return nil, badUsage("--tokenizer: %w", err)
	}
	return tok.WithPAD(), nil // as for training
}

func newTokenizerEncode() *cobra.Command {
	var (
		f        tokenizerFlag
		specials bool
	)
	cmd := &cobra.Command{
		Use:     "encode",
		Short:   "Turn the text of standard input into ids",
		Example: "  echo -n 'Call me Ishmael.' | calm tokenizer encode --tokenizer bpe.json",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			tok, err := f.open()
			if err != nil {
				return err
			}
			if specials {
				tok = tok.TakingLiterals()
			}
			return writeEncoded(cmd, tok)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&specials, "specials", false, "read the names of special tokens, such as <|end_of_text|>, as these tokens")
	return cmd
}

// writeEncoded prints the ids of standard input, a part of the text after another.
func writeEncoded(cmd *cobra.Command, tok *tokenizer.Tokenizer) error {
	out := bufio.NewWriter(exactOut(cmd))
	var number []byte
	err := tok.EncodeReader(interruptible.Reader(cmd.Context(), cmd.InOrStdin()), func(ids []int32) error {
		for _, id := range ids {
			if number != nil {
				number = append(number[:0], ' ')
			}
			number = strconv.AppendInt(number, int64(id), 10)
			if _, err := out.Write(number); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	return out.Flush()
}

func newTokenizerDecode() *cobra.Command {
	var f tokenizerFlag
	cmd := &cobra.Command{
		Use:   "decode",
		Short: "Turn the ids of standard input into text",
		Long: `Turn the ids of standard input into text: whole numbers with spaces, line breaks or commas between them, as encode and
generate --ids print them, or as a JSON array.`,
		Example: "  echo 67 97 108 108 | calm tokenizer decode",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			tok, err := f.open()
			if err != nil {
				return err
			}
			ids, err := readIDs(interruptible.Reader(cmd.Context(), cmd.InOrStdin()))
			if err != nil && cmd.Context().Err() == nil {
				err = badUsage("tokenizer decode: %w", err)
			}
			if err != nil {
				return err
			}
			text, err := tok.Decode(ids)
			if err != nil {
				return badUsage("%w", err)
			}
			fmt.Fprint(exactOut(cmd), text)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func newData() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Prepare text for training, or describe it",
		Example: `  calm data prepare --data text/ --out prepared
  calm data info prepared`,
		Args: cobra.ArbitraryArgs,
		RunE: onlyHelp,
	}
	cmd.AddCommand(newDataPrepare(), newDataInfo())
	return cmd
}

func newDataPrepare() *cobra.Command {
	var (
		f    tokenizerFlag
		out  string
		text textFlags
	)
	cmd := &cobra.Command{
		Use:   "prepare --out DIR --data PATH",
		Short: "Tokenize text into a directory that training reads",
		Long: `Tokenize text of any size into a directory, which --data then takes. If a preparation was
stopped, the same command continues it.

A file of plain text is one document. JSON lines (.jsonl, .ndjson, .json) have one in each line, Parquet in each row;
--field names where. Text and JSON lines may be compressed (.gz, .zst). Of a directory the files that are text are read,
and calm lists the others. --data - reads standard input: one document of plain text, or with --field JSON lines.`,
		Example: `  calm data prepare --data corpus/ --out prepared --tokenizer bpe.json
  zcat dump.jsonl.gz | calm data prepare --data - --field content --out prepared`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" || len(text.paths) == 0 {
				return badUsage("data prepare needs --data PATH and --out DIR")
			}
			tok, err := f.open()
			if err != nil {
				return err
			}
			if err := corpus.Free(out); err != nil {
				return badUsage("%w", err)
			}
			return prepare(cmd, text.source(cmd), tok, out)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "", "the directory `DIR` to make")
	text.add(cmd.Flags(), "text at `PATH`: a file, a directory, or - for standard input; may be repeated")
	return cmd
}

// prepare tokenizes a source into the directory out, shows its progress, and describes the result.
func prepare(cmd *cobra.Command, source corpus.Source, tok *tokenizer.Tokenizer, out string) error {
	r, err := corpus.NewReader(source) // before a directory is made
	if err != nil {
		return badUsage("--data: %w", err)
	}
	shown := false
	share, line := newShare(r.Size()), newProgress(cmd.ErrOrStderr(), "")
	progress := func(p corpus.Progress) {
		done := share.line(p.Read, p.Kept == p.Documents)
		if line.due(!shown) {
			line.show(done, plural.Count(p.Documents, "document"), fmt.Sprintf("%d MB of text", p.Bytes>>20), plural.Count(p.Tokens, "token"))
		}
		shown = true
	}
	docs := userText(cmd.Context(), r.Documents(cmd.Context()))
	c, err := corpus.Prepare(cmd.Context(), docs, tok, out, corpus.PrepareOptions{Progress: progress})
	line.End()
	if errors.Is(err, context.Canceled) && corpus.Begun(out) {
		return errInterrupted
	}
	if errors.Is(err, context.Canceled) {
		return errStopped
	}
	if _, system := errors.AsType[*fs.PathError](err); err != nil && !system {
		err = badText(cmd.Context(), err)
	}
	if err != nil {
		return err
	}
	tellNotes(cmd, r.Notes())
	describeCorpus(cmd.OutOrStdout(), out, c)
	return c.Close()
}

func newDataInfo() *cobra.Command {
	var (
		f     tokenizerFlag
		field string
	)
	cmd := &cobra.Command{
		Use:     "info PATH",
		Short:   "Show how much text there is and what is held out; verify prepared text",
		Example: "  calm data info prepared\n  calm data info corpus.parquet --field content",
		Args:    exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if corpus.IsPrepared(args[0]) && cmd.Flags().Changed("tokenizer") {
				return badUsage("--tokenizer: %s is prepared, with a tokenizer of its own: leave it out", args[0])
			}
			var c *corpus.Corpus
			tok, err := f.open()
			if err != nil {
				return err
			}
			text := textFlags{args, field}
			prepared := text.source(cmd).Prepared()
			if prepared && field == "" {
				if c, err = corpus.Open(args[0]); err == nil {
					err = verifyCorpus(cmd, c)
				}
			} else {
				c, err = corpus.Measure(cmd.Context(), tok, text.source(cmd))
			}
			if err != nil {
				return badText(cmd.Context(), fmt.Errorf("data info %s: %w", args[0], err))
			}
			tellNotes(cmd, c.Notes())
			describeCorpus(cmd.OutOrStdout(), args[0], c)
			if prepared {
				fmt.Fprintln(cmd.OutOrStdout(), "  all tokens match their checksums")
			}
			return c.Close()
		},
	}
	f.add(cmd)
	addField(cmd.Flags(), &field)
	return cmd
}

// verifyCorpus verifies all tokens of a prepared corpus. It closes the corpus on an error.
func verifyCorpus(cmd *cobra.Command, c *corpus.Corpus) error {
	line := newProgress(cmd.ErrOrStderr(), "")
	line.shown = time.Now() // show nothing at first: most corpora are verified quickly
	var done *share
	err := c.Verify(cmd.Context(), func(n, total int64) {
		if done == nil {
			done = newShare(total)
		}
		if line.due(false) {
			line.show("verified " + done.line(n, false))
		}
	})
	line.End()
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// userText iterates over docs and turns their errors into *run.UsageErrors.
func userText(ctx context.Context, docs iter.Seq2[corpus.Document, error]) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for d, err := range docs {
			if !yield(d, badText(ctx, err)) {
				return
			}
		}
	}
}

func describeCorpus(w io.Writer, path string, c *corpus.Corpus) {
	fmt.Fprintf(w, "%s: vocabulary of %d\n", path, c.VocabSize())
	for _, p := range []struct {
		name string
		part *corpus.Part
	}{{"training", c.Train()}, {"held out", c.HeldOut()}} {
		fmt.Fprintf(w, "  %-9s %s, %s\n", p.name, plural.Count(p.part.Documents(), "document"), plural.Count(p.part.Tokens(), "token"))
	}
	fmt.Fprintf(w, "  %s\n", c.HoldingOut())
}
