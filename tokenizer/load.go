package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Load reads a Hugging Face tokenizer.json with a BPE model: byte-level, or
// SentencePiece's with byte fallback. It gives the ids and the text of Hugging
// Face's tokenizers library. What it cannot do so (other models, and settings that
// would change the ids) is an error, which names the setting.
//
// Truncation and padding are not applied. What the post-processor puts before a
// text is BOS, what it puts behind it is EOS; it is not part of the ids of a text.
// Otherwise BOS, EOS and PAD are found by their usual names; for a file with other
// names, see [Tokenizer.WithPAD] and [Tokenizer.WithRoles].
func Load(path string) (*Tokenizer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	return t, nil
}

// Parse is [Load] for the contents of a file.
func Parse(data []byte) (*Tokenizer, error) {
	var f hfFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("tokenizer: not a Hugging Face tokenizer.json: %w", err)
	}
	s, err := f.spec()
	if err == nil {
		var t *Tokenizer
		if t, err = build(s); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("tokenizer: %w", err)
}

// hfFile is the part of tokenizer.json that this package reads.
type hfFile struct {
	AddedTokens   hfAddeds  `json:"added_tokens"`
	Normalizer    hfSection `json:"normalizer"`
	PreTokenizer  hfSection `json:"pre_tokenizer"`
	PostProcessor hfSection `json:"post_processor"`
	Decoder       hfSection `json:"decoder"`
	Model         hfModel   `json:"model"`
}

// The largest numbers of commas in the lists of a tokenizer.json. They bound the
// memory that hostile files can use, whose elements may be as short as {}. An
// element of a real file has one comma (vocabulary), two (merges) or eight (added
// tokens). The largest known tokenizers have about 300,000 tokens, 500,000 merges
// and 10,000 added tokens.
const (
	maxListed = 2 << 20
	maxAdded  = 1 << 19
)

// bounded returns an error for a list or an object with more than maxCommas commas.
func bounded(data []byte, maxCommas int, name string) error {
	if n := bytes.Count(data, []byte{','}); n > maxCommas {
		return fmt.Errorf("%s has %d commas: no tokenizer is that large", name, n)
	}
	return nil
}

// hfAddeds are the added tokens.
type hfAddeds []hfAdded

// UnmarshalJSON reads a list that is not too long.
func (a *hfAddeds) UnmarshalJSON(data []byte) error {
	if err := bounded(data, maxAdded, "added_tokens"); err != nil {
		return err
	}
	return json.Unmarshal(data, (*[]hfAdded)(a))
}

type hfAdded struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized *bool  `json:"normalized"` // by default the opposite of special
	Special    bool   `json:"special"`
}

type hfModel struct {
	Type         *string `json:"type"`
	Dropout      float64 `json:"dropout"`
	Unk          *string `json:"unk_token"`
	FuseUnk      bool    `json:"fuse_unk"`
	Prefix       string  `json:"continuing_subword_prefix"`
	Suffix       string  `json:"end_of_word_suffix"`
	ByteFallback bool    `json:"byte_fallback"`
	IgnoreMerges bool    `json:"ignore_merges"`
	Vocab        hfVocab `json:"vocab"`
	Merges       hfPairs `json:"merges"`
}

// hfVocab is the vocabulary in the order of the file.
type hfVocab []hfToken

type hfToken struct {
	text string
	id   int64
}

// UnmarshalJSON reads an object of ids by token. Models other than BPE have other
// values here. It ignores these, since spec checks the model's type.
func (v *hfVocab) UnmarshalJSON(data []byte) error {
	if err := bounded(data, maxListed, "model.vocab"); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		number, _ := value.(json.Number)
		id, err := number.Int64()
		if err != nil {
			return fmt.Errorf("model.vocab: the id of %q is %v, not an integer", key, value)
		}
		*v = append(*v, hfToken{key.(string), id})
	}
	return nil
}

// hfPairs are the merges by rank.
type hfPairs []hfPair

// UnmarshalJSON reads a list that is not too long.
func (p *hfPairs) UnmarshalJSON(data []byte) error {
	if err := bounded(data, maxListed, "model.merges"); err != nil {
		return err
	}
	return json.Unmarshal(data, (*[]hfPair)(p))
}

// hfPair is a merge: "left right" in older files, ["left", "right"] in newer.
type hfPair [2]string

// UnmarshalJSON reads either form.
func (p *hfPair) UnmarshalJSON(data []byte) error {
	var parts []string
	if data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		parts = strings.SplitN(s, " ", 3) // more than two are an error anyway
	} else if err := json.Unmarshal(data, &parts); err != nil {
		return fmt.Errorf("a merge in model.merges: %w", err)
	}
	if len(parts) != 2 {
		return fmt.Errorf("a merge in model.merges does not have two parts: %s", clip(data))
	}
	*p = hfPair(parts)
	return nil
}
