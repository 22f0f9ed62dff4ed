package run

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/tokenizer"
)

// composeAE, composeLM and composeAR resolve the configuration of a new run. The file overrides the preset, the assignments
// override the file, and the flags override the assignments. The result is validated by itself, and together with the
// tokenizer or the autoencoder that the model is trained on.

func composeAE(o Options, over foundation) (plan, error) {
	tok := over.tokenizer
	preset, err := AEPreset(o.Preset, tok)
	if err != nil {
		return plan{}, err
	}
	c, err := compose(o, preset, func(c *AEConfig) *Common { return &c.Common }, func(c *AEConfig, _ func(string) bool) error {
		p := reads(tok, c.VocabSize, c.BOSTokenID, c.EOSTokenID)
		config.Same(&p, "pad_token_id", c.PadTokenID, int(tok.PAD()), "the tokenizer")
		return validate(c.Validate(), p.Err())
	})
	return c.plan(), err
}

func composeAR(o Options, over foundation) (plan, error) {
	tok := over.tokenizer
	preset, err := ARPreset(o.Preset, tok)
	if err != nil {
		return plan{}, err
	}
	c, err := compose(o, preset, func(c *ARConfig) *Common { return &c.Common }, func(c *ARConfig, _ func(string) bool) error {
		p := reads(tok, c.VocabSize, c.BOSTokenID, c.EOSTokenID)
		return validate(c.Validate(), p.Err(), positions(c.BlockSize, 1, c.MaxPositionEmbeddings))
	})
	return c.plan(), err
}

func composeLM(o Options, over foundation) (plan, error) {
	ae := over.autoencoder.Autoencoder().Config
	preset, err := LMPreset(o.Preset, ae)
	if err != nil {
		return plan{}, err
	}
	c, err := compose(o, preset, func(c *LMConfig) *Common { return &c.Common }, func(c *LMConfig, given func(string) bool) error {
		if !given("init_embeddings") {
			c.LanguageConfig = c.Fit(ae)
		}
		return validate(c.ValidateWith(ae), sameSpecials(*c, ae), positions(c.BlockSize, ae.PatchSize, c.MaxPositionEmbeddings))
	})
	return c.plan(ae), err
}

// sameSpecials checks that a language model and its autoencoder have the same special tokens.
func sameSpecials(c LMConfig, ae autoencoder.Config) error {
	var p config.Problems
	config.Same(&p, "bos_token_id", c.BOSTokenID, ae.BOSTokenID, "the autoencoder")
	config.Same(&p, "eos_token_id", c.EOSTokenID, ae.EOSTokenID, "the autoencoder")
	config.Same(&p, "pad_token_id", c.PadTokenID, ae.PadTokenID, "the autoencoder")
	return p.Err()
}

// compose returns the preset with the file, the assignments and the flags of o over it. part returns the Common of a
// configuration; check validates it.
func compose[T any](o Options, preset T, part func(*T) *Common, check func(c *T, given func(string) bool) error) (T, error) {
	own := *part(&preset)
	sets, refused := settable(o.Set)
	if o.Steps > 0 {
		sets = append(sets, fmt.Sprintf("max_steps=%d", o.Steps))
	}
	if o.Minutes > 0 {
		sets = append(sets, fmt.Sprintf("max_minutes=%g", o.Minutes))
		if o.Steps == 0 {
			sets = append(sets, "max_steps=0")
		}
	}
	if o.Seed != nil {
		sets = append(sets, fmt.Sprintf("seed=%d", *o.Seed))
	}
	c, err := config.ComposeWith(preset, o.Config, sets, func(c *T, given func(string) bool) error {
		return validate(refused, check(c, given))
	})
	if _, ok := errors.AsType[*config.Error](err); err != nil && !ok {
		err = usage("--config: %w", err)
	}
	p := part(&c) // these keys describe the run: a config.json given as --config describes another one
	p.Kind, p.Data, p.Tail, p.Imported = own.Kind, absolute(o.Data), own.Tail, own.Imported
	p.Field, p.FromMemory = cmp.Or(o.Field, own.Field), o.Documents != nil
	return c, err
}

// notSet lists the keys that --set must not change in training, with the reason.
var notSet = map[string]string{
	"kind": owned, "data": owned, "tail": owned, "imported": owned, "from_memory": owned,
	"field": "use --field",
	"dtype": "training is in float32: dtype is for generate, eval and bench generate",
}

// owned is the reason for the keys of config.json that say what a run is and what it is trained on.
const owned = "cannot be set: it follows from the command and --data"

// settable returns the assignments that a new run accepts. The error, a *config.Error, lists the others.
func settable(sets []string) (kept []string, err error) {
	var refused []config.Problem
	for _, s := range sets {
		key, value, _ := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if reason := notSet[key]; reason != "" {
			refused = append(refused, config.Problem{Where: "--set", Key: key, Value: value, Want: reason})
		} else {
			kept = append(kept, s)
		}
	}
	if refused != nil {
		err = &config.Error{Problems: refused}
	}
	return kept, err
}

// reads checks that the model's vocabulary has every token of the tokenizer, and that both have the same BOS and EOS.
func reads(tok *tokenizer.Tokenizer, vocab, bos, eos int) (p config.Problems) {
	p.Check(vocab >= tok.VocabSize(), "vocab_size", vocab, fmt.Sprintf("want at least %d, the size of the tokenizer's vocabulary", tok.VocabSize()))
	config.Same(&p, "bos_token_id", bos, int(tok.BOS()), "the tokenizer")
	config.Same(&p, "eos_token_id", eos, int(tok.EOS()), "the tokenizer")
	return p
}

// positions checks that a block of the training has at most limit positions, the length of the model's context.
func positions(block, patch, limit int) error {
	var p config.Problems
	if patch == 1 {
		p.Check(block <= limit, "block_size", block, fmt.Sprintf("want at most max_position_embeddings = %d tokens", limit))
	} else {
		p.Check(block/patch <= limit, "block_size", block, fmt.Sprintf("want at most %d tokens: max_position_embeddings = %d patches of %d", limit*patch, limit, patch))
	}
	return p.Err()
}

// absolute returns absolute paths, so that a run can be resumed from another working directory.
func absolute(paths []string) []string {
	out := []string{}
	for _, p := range paths {
		if abs, err := filepath.Abs(p); err == nil && p != corpus.Stdin && p != "" {
			p = abs
		}
		out = append(out, p)
	}
	return out
}
