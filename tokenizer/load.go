package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Load reads a Hugging Face tokenizer.json with a byte-level BPE model. It reads
// what [Tokenizer.Save] writes, the files of GPT-2, Llama 3 and Qwen 2, and others
// that cut text with the same patterns or not at all. Other settings that would
// change the ids (normalizers, other pre-tokenizers and models) are errors, which
// name the setting.
//
// The post-processor's tokens before and after a text, truncation and padding are
// not applied. BOS, EOS and PAD are found by their usual names; for a file with
// other names, see [Tokenizer.WithPAD] and [Tokenizer.WithRoles].
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
	AddedTokens   hfAddeds `json:"added_tokens"`
	Normalizer    *hfStage `json:"normalizer"`
	PreTokenizer  *hfStage `json:"pre_tokenizer"`
	PostProcessor *hfStage `json:"post_processor"`
	Decoder       *hfStage `json:"decoder"`
	Model         hfModel  `json:"model"`
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
	Special    bool   `json:"special"`
}

type hfModel struct {
	Type         *string `json:"type"`
	Dropout      float64 `json:"dropout"`
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

// spec reads the file, and returns an error for anything that is not supported.
func (f *hfFile) spec() (spec, error) {
	m := &f.Model
	switch {
	case m.Type != nil && *m.Type != "BPE":
		return spec{}, fmt.Errorf("model type %q is not supported, only BPE", *m.Type)
	case len(m.Vocab) == 0:
		return spec{}, fmt.Errorf("model.vocab is missing or empty")
	case m.Dropout != 0:
		return spec{}, fmt.Errorf("model.dropout %v is not supported: encoding would be random", m.Dropout)
	case m.Prefix != "" || m.Suffix != "":
		return spec{}, fmt.Errorf("model.continuing_subword_prefix %q and end_of_word_suffix %q are not supported, only empty ones", m.Prefix, m.Suffix)
	case m.ByteFallback:
		return spec{}, fmt.Errorf("model.byte_fallback is not supported, only byte-level vocabularies")
	}
	if n := f.Normalizer.flat(); len(n) > 0 {
		return spec{}, fmt.Errorf("normalizer %s is not supported: text would not come back byte for byte", names(n))
	}
	if d := f.Decoder.flat(); len(d) > 1 || len(d) == 1 && d[0].Type != "ByteLevel" {
		return spec{}, fmt.Errorf("decoder %s is not supported, only ByteLevel", names(d))
	}
	s := spec{whole: m.IgnoreMerges}
	var err error
	if s.split, err = splitOf(f.PreTokenizer.flat()); err != nil {
		return spec{}, err
	}
	for _, p := range f.PostProcessor.flat() {
		s.template = s.template || p.Type == "TemplateProcessing"
	}
	if s.added, err = f.added(); err != nil {
		return spec{}, err
	}
	if err := f.readModel(&s); err != nil {
		return spec{}, err
	}
	return s, nil
}

// maxID returns the largest id that the file may use. It depends on the number of
// tokens: gaps are allowed, but few tokens cannot make a huge vocabulary.
func (f *hfFile) maxID() int64 { return 2*int64(len(f.Model.Vocab)+len(f.AddedTokens)) + 1024 }

func (f *hfFile) checkID(id int64, token string) error {
	if id < 0 || id > f.maxID() {
		return fmt.Errorf("token %q has id %d, out of proportion to the %d tokens of the file", token, id, len(f.Model.Vocab)+len(f.AddedTokens))
	}
	return nil
}

func (f *hfFile) added() ([]addedToken, error) {
	var added []addedToken
	content, ids := map[string]bool{}, map[int64]string{}
	for _, a := range f.AddedTokens {
		if err := f.checkID(a.ID, a.Content); err != nil {
			return nil, err
		}
		first, taken := ids[a.ID]
		switch {
		case a.Content == "":
			return nil, fmt.Errorf("added token %d is empty", a.ID)
		case content[a.Content]:
			return nil, fmt.Errorf("added token %q is listed twice", a.Content)
		case taken:
			return nil, fmt.Errorf("added tokens %q and %q have the same id %d", first, a.Content, a.ID)
		case a.SingleWord || a.LStrip || a.RStrip:
			return nil, fmt.Errorf("added token %q: single_word, lstrip and rstrip are not supported", a.Content)
		}
		content[a.Content], ids[a.ID] = true, a.Content
		added = append(added, addedToken{a.Content, int32(a.ID), a.Special})
	}
	slices.SortFunc(added, func(a, b addedToken) int { return int(a.id - b.id) })
	return added, nil
}

// readModel reads vocabulary and merges into s, whose added tokens are set already.
func (f *hfFile) readModel(s *spec) error {
	added := map[string]int64{}
	names := map[int64]string{}
	for _, a := range s.added {
		added[a.content] = int64(a.id)
		names[int64(a.id)] = a.content
	}
	ids := make(map[string]int32, len(f.Model.Vocab))
	for _, v := range f.Model.Vocab {
		if err := f.checkID(v.id, v.text); err != nil {
			return err
		}
		if id, is := added[v.text]; is && id == v.id {
			continue // GPT-2 lists its special token in the vocabulary too
		}
		if first, taken := names[v.id]; taken {
			return fmt.Errorf("tokens %q and %q have the same id %d", first, v.text, v.id)
		}
		if _, twice := ids[v.text]; twice || v.text == "" {
			return fmt.Errorf("model.vocab: token %q is empty or listed twice", v.text)
		}
		token, err := fromByteLevel(v.text)
		if err != nil {
			return fmt.Errorf("model.vocab: %w", err)
		}
		if int(v.id) >= len(s.tokens) {
			s.tokens = append(s.tokens, make([][]byte, int(v.id)+1-len(s.tokens))...)
		}
		names[v.id], ids[v.text], s.tokens[v.id] = v.text, int32(v.id), token
	}
	return f.readMerges(s, ids)
}

func (f *hfFile) readMerges(s *spec, ids map[string]int32) error {
	seen := make(map[uint64]bool, len(f.Model.Merges))
	for i, p := range f.Model.Merges {
		left, ok1 := ids[p[0]]
		right, ok2 := ids[p[1]]
		id, ok3 := ids[p[0]+p[1]]
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("model.merges: merge %d, %q and %q: the vocabulary lacks one of them or the token they make", i, p[0], p[1])
		}
		if key := pairKey(left, right); seen[key] {
			return fmt.Errorf("model.merges: merge %d, %q and %q, is listed twice", i, p[0], p[1])
		} else {
			seen[key] = true
		}
		s.merges = append(s.merges, merge{left, right, id})
	}
	return nil
}
