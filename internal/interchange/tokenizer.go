package interchange

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// chooseTokenizer returns the tokenizer that is asked for, or else the one in the directory, or nil if there is none. If vocab,
// the number of rows of the model's tables, is known, the tokenizer must not have more tokens. As in the reference, [PAD] is added
// if it is missing and there is a row for it. No other token is added, since no row was trained for it.
func chooseTokenizer(dir, asked string, vocab *int) (tok *tokenizer.Tokenizer, err error) {
	switch asked {
	case NoTokenizer:
		return nil, nil
	case "":
		tok, err = tokenizerIn(dir)
	default:
		if err := readable(strings.TrimPrefix(asked, "llama3:")); err != nil {
			return nil, fmt.Errorf("--tokenizer: %w", err)
		}
		if tok, err = tokenizer.Named(asked); err != nil {
			err = &run.UsageError{Err: fmt.Errorf("--tokenizer: %w", err)}
		}
	}
	if err != nil || tok == nil || vocab == nil {
		return tok, err
	}
	if n := tok.VocabSize(); n > *vocab {
		return nil, fmt.Errorf("its tokenizer has %d tokens, its tables have %d rows: they do not belong together (--tokenizer names another)", n, *vocab)
	}
	if with := tok.WithPAD(); with.VocabSize() <= *vocab {
		tok = with
	}
	return tok, nil
}

// tokenizerIn returns the tokenizer in a directory of the reference, or nil if it has none.
func tokenizerIn(dir string) (tok *tokenizer.Tokenizer, err error) {
	for _, of := range []struct {
		file string
		load func(string) (*tokenizer.Tokenizer, error)
	}{{checkpoint.TokenizerFile, tokenizer.Load}, {"tokenizer.model", tokenizer.LoadLlama3}} {
		path := filepath.Join(dir, of.file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if tok, err = of.load(path); err != nil {
			return nil, fmt.Errorf("%w; --tokenizer names another, --tokenizer %s imports without", err, NoTokenizer)
		}
		return tok, nil
	}
	return nil, nil
}

// tail returns the ids that are put before short prompts (docs/spec.md, section 5): newlines, as at the end of a document. If the
// ids of newlines are unknown, it returns BOS, as of empty documents.
func (d *describer) tail(kind run.Kind, patch, bos int) []int {
	ids := []int{}
	if kind != run.LM {
		return ids
	}
	with := []int32{int32(bos)}
	switch {
	case d.tokenizer != nil:
		with = d.tokenizer.Encode("\n")
		d.note("newlines are put before prompts (tail)")
	case d.known():
		with = []int32{llama3Newline}
		d.note("newlines of Llama 3's tokenizer (%d) are put before prompts (tail)", llama3Newline)
	default:
		d.note("without a tokenizer the id of a newline is unknown: BOS (%d) is put before prompts instead (tail)", bos)
	}
	for len(ids) < patch {
		for _, id := range with {
			ids = append(ids, int(id))
		}
	}
	return ids[len(ids)-patch:]
}

// known reports whether the vocabulary has the size of Llama 3's with [PAD].
func (d *describer) known() bool {
	return d.reference.VocabSize != nil && *d.reference.VocabSize == llama3Vocab
}

// special returns the ids of BOS and EOS. It prefers the tokenizer's, since these are in the training text. Without a tokenizer
// it takes Llama 3's, if the vocabulary has that size. Otherwise it takes the configuration's, and gives the tokenizer these
// roles.
func (d *describer) special() (bos, eos int) {
	from, ids := "the tokenizer", [2]int32{tokenizer.None, tokenizer.None}
	if d.tokenizer != nil {
		ids = [2]int32{d.tokenizer.BOS(), d.tokenizer.EOS()}
	} else if d.known() {
		from, ids = "Llama 3's tokenizer, which has a vocabulary of this size", [2]int32{llama3BOS, llama3EOS}
	}
	pick := func(key string, id int32, said *int) int {
		if id == tokenizer.None {
			return need(d, said, key)
		}
		if said == nil || *said != int(id) {
			d.note("%s is %d, as in %s (config.json says %s)", key, id, from, show(said))
		}
		return int(id)
	}
	bos, eos = pick("bos_token_id", ids[0], d.reference.BOSTokenID), pick("eos_token_id", ids[1], d.reference.EOSTokenID)
	if d.tokenizer != nil {
		d.note("documents get %s (the tokenizer's post-processor)", d.tokenizer.Adds())
		if losses := d.tokenizer.Losses(); len(losses) > 0 {
			d.note("with this tokenizer text does not come back byte for byte: %s (calm tokenizer info lists all changes)", losses[0])
		}
		d.tokenizer = d.tokenizer.WithRoles(int32(bos), int32(eos), tokenizer.None)
		if d.tokenizer.BOS() == tokenizer.None || d.tokenizer.EOS() == tokenizer.None {
			d.note("the tokenizer has no tokens %d and %d (bos_token_id, eos_token_id): the run works on ids, not on text", bos, eos)
		}
	}
	return bos, eos
}

func show(v *int) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}

// pad returns the id of PAD. By default it is the last id, where the reference adds it.
func (d *describer) pad(vocab int) int {
	if d.reference.PadTokenID == nil && d.tokenizer != nil && d.tokenizer.PAD() >= 0 {
		return either(d, nil, "pad_token_id", int(d.tokenizer.PAD()))
	}
	return either(d, d.reference.PadTokenID, "pad_token_id", vocab-1)
}
