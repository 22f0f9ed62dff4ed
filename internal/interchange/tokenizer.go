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

// chooseTokenizer returns the tokenizer that is asked for, else the one in the directory; nil without. It has to go with
// tables of vocab rows, if that is known: every token has one, and [PAD] is added where it is missing and there is room
// for it, as the reference does. No other token is: no row was trained for one.
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
		tok, err = run.ChooseTokenizer(asked)
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

// tokenizerIn returns the tokenizer in a directory of the reference's; nil where it has none.
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

// tail stands in front of prompts (docs/spec.md, section 5): newlines, as at the end of a document. Without a tokenizer that
// knows them it is BOS, as of empty documents.
func (d *describer) tail(kind run.Kind, patch, bos int) []int {
	ids := []int{}
	if kind != run.LM {
		return ids
	}
	with := []int32{int32(bos)}
	switch {
	case d.tokenizer != nil:
		with = d.tokenizer.Encode("\n")
		d.note("newlines stand in front of prompts (tail)")
	case d.known():
		with = []int32{llama3Newline}
		d.note("newlines as in Llama 3's tokenizer (%d) stand in front of prompts (tail)", llama3Newline)
	default:
		d.note("there is no tokenizer to know newlines by: BOS (%d) stands in their place in front of prompts (tail)", bos)
	}
	for len(ids) < patch {
		for _, id := range with {
			ids = append(ids, int(id))
		}
	}
	return ids[len(ids)-patch:]
}

// known says that the vocabulary's size is that of Llama 3's tokenizer with [PAD].
func (d *describer) known() bool {
	return d.reference.VocabSize != nil && *d.reference.VocabSize == llama3Vocab
}

// special returns the ids of BOS and EOS: those that the tokenizer names, which are the ones in the training text; where
// there is none, Llama 3's for a vocabulary of that size; else the configuration's, whose roles the tokenizer gets.
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

// pad returns the id of padding, which the reference adds as the last.
func (d *describer) pad(vocab int) int {
	if d.reference.PadTokenID == nil && d.tokenizer != nil && d.tokenizer.PAD() >= 0 {
		return either(d, nil, "pad_token_id", int(d.tokenizer.PAD()))
	}
	return either(d, d.reference.PadTokenID, "pad_token_id", vocab-1)
}
