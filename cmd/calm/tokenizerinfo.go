package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/tokenizer"
)

func newTokenizerInfo() *cobra.Command {
	return &cobra.Command{
		Use:   "info TOKENIZER",
		Short: "Show a tokenizer: special tokens, and whether text comes back byte for byte",
		Long: `Show a tokenizer: its size, its special tokens, what it puts around a document, and whether every text that is turned into
ids and back comes back byte for byte. TOKENIZER is bytes, llama3:FILE or a tokenizer.json.`,
		Example: "  calm tokenizer info bpe.json\n  calm tokenizer info llama3:tokenizer.model",
		Args:    exactly(1, "one tokenizer"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := tokenizer.Named(args[0])
			if err != nil {
				return badUsage("%w", err)
			}
			describeTokenizer(cmd.OutOrStdout(), args[0], tok)
			return nil
		},
	}
}

func describeTokenizer(w io.Writer, name string, tok *tokenizer.Tokenizer) {
	fmt.Fprintf(w, "%s: %s\n", name, plural.Count(tok.VocabSize(), "token"))
	for _, role := range []struct {
		name string
		id   int32
	}{{"BOS", tok.BOS()}, {"EOS", tok.EOS()}, {"PAD", tok.PAD()}} {
		if role.id == tokenizer.None {
			fmt.Fprintf(w, "  %s: none\n", role.name)
			continue
		}
		fmt.Fprintf(w, "  %s: %d %q\n", role.name, role.id, tok.Token(role.id))
	}
	fmt.Fprintf(w, "  documents get %s\n", tok.Adds())
	losses := tok.Losses()
	if len(losses) == 0 {
		fmt.Fprintln(w, "  round trip: every text comes back byte for byte")
		return
	}
	fmt.Fprintln(w, "  round trip: text may change when it is turned into ids and back")
	for _, loss := range losses {
		fmt.Fprintln(w, "    "+loss)
	}
}

// tellTokenizer prints on standard error what is unusual about the tokenizer of a training.
func tellTokenizer(w io.Writer, tok *tokenizer.Tokenizer) {
	if !tok.AddsBOS() || tok.AddsEOS() {
		fmt.Fprintf(w, "calm: note: documents get %s, as the post-processor of the tokenizer has it\n", tok.Adds())
	}
	if losses := tok.Losses(); len(losses) > 0 {
		fmt.Fprintf(w, "calm: warning: with this tokenizer text does not come back byte for byte: %s", losses[0])
		if more := len(losses) - 1; more > 0 {
			fmt.Fprintf(w, "; and %s (calm tokenizer info lists them)", plural.Count(more, "other change"))
		}
		fmt.Fprintln(w)
	}
}
