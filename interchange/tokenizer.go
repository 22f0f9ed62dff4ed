package interchange

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// chooseTokenizer returns the tokenizer that is asked for, else the one in the directory; nil without.
func chooseTokenizer(dir, asked string) (tok *tokenizer.Tokenizer, err error) {
	switch asked {
	case NoTokenizer:
		return nil, nil
	case "":
		tok, err = tokenizerIn(dir)
	default:
		tok, err = run.ChooseTokenizer(asked)
	}
	return tok, err
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

// fit checks that every token has a row in the model's tables, and adds padding where it is missing and there is room for
// it, as the reference does.
func (m *model) fit(vocab int) error {
	if n := m.tokenizer.VocabSize(); n > vocab {
		return fmt.Errorf("its tokenizer has %d tokens, its tables have %d rows: they do not belong together (--tokenizer names another)", n, vocab)
	}
	if with := m.tokenizer.WithPAD(); with.VocabSize() <= vocab {
		m.tokenizer = with
	}
	return nil
}
