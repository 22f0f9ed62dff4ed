package tokenizer

import (
	"fmt"
	"slices"
)

// Usual names of BOS, EOS and PAD in tokenizer.json files. The format has no field
// for these roles, so the first of the names that a file has is taken. GPT-2 uses
// one token for both BOS and EOS.
var (
	namesBOS = []string{LiteralBOS, "<|bos|>", "<s>", "<bos>", "[BOS]", "<|startoftext|>", "<|endoftext|>"}
	namesEOS = []string{LiteralEOS, "<|eos|>", "</s>", "<eos>", "[EOS]", "<|endoftext|>"}
	namesPAD = []string{LiteralPAD, "<|pad|>", "<pad>", "<|padding|>", "<|finetune_right_pad_id|>"}
)

// assignRoles finds BOS, EOS and PAD. What the post-processor puts before a text is
// BOS, and what it puts behind it is EOS.
func (t *Tokenizer) assignRoles() error {
	role := func(template []int32, names []string) int32 {
		for _, id := range template {
			return id
		}
		for _, name := range names {
			if id := t.SpecialID(name); id != None {
				return id
			}
		}
		return None
	}
	for _, id := range slices.Concat(t.template.before, t.template.after) {
		if !t.valid(id) {
			return fmt.Errorf("post_processor: id %d has no token", id)
		}
	}
	t.bos, t.eos, t.pad = role(t.template.before, namesBOS), role(t.template.after, namesEOS), role(nil, namesPAD)
	makes := func(id int32) bool { return slices.ContainsFunc(t.merges, func(m merge) bool { return m.id == id }) }
	for _, id := range []int32{t.bos, t.eos, t.pad} {
		if id != None && t.made(id) && (t.single(t.tokens[id]) || makes(id)) {
			return fmt.Errorf("token %q is made by merging ordinary text, so that text could end a document", t.key(id))
		}
	}
	return nil
}

// AddsBOS reports whether a document begins with BOS: whether the post-processor of
// the file puts it, or another single token, before a text.
func (t *Tokenizer) AddsBOS() bool { return t.own || len(t.template.before) > 0 }

// AddsEOS reports whether a document ends with EOS: whether the post-processor of
// the file puts it, or another single token, behind a text.
func (t *Tokenizer) AddsEOS() bool { return len(t.template.after) > 0 }

// Adds says for people what AddsBOS and AddsEOS report: "BOS before them", where
// they are documents.
func (t *Tokenizer) Adds() string {
	switch bos, eos := t.AddsBOS(), t.AddsEOS(); {
	case bos && eos:
		return "BOS before them and EOS behind them"
	case bos:
		return "BOS before them"
	case eos:
		return "EOS behind them"
	}
	return "neither BOS nor EOS"
}

// WithPAD returns a tokenizer that has PAD: t itself, or a copy where PAD has the id
// that Hugging Face's library gives a new token. The reference does the same to
// Llama 3's tokenizer, whose PAD becomes 128256.
func (t *Tokenizer) WithPAD() *Tokenizer {
	if t.pad != None {
		return t
	}
	s := t.spec.clone()
	pad := addedToken{content: LiteralPAD, special: true}
	s.added = append(s.added, pad)
	ids := numbers(s.added, t.listed())
	pad.id = ids[len(ids)-1]
	taken := t.valid(pad.id) // the library would give this id twice: it needs all added tokens in the vocabulary
	if taken {
		pad.id = int32(len(t.kind))
	}
	s.added[len(s.added)-1] = pad
	with, err := build(s)
	if err != nil {
		panic(err) // impossible: t was built from the same tokens
	}
	if taken {
		if again, err := Parse(with.JSON()); err == nil { // where tokens of one character become characters of the vocabulary
			with = again
		}
	}
	with.takes = t.takes
	return with.WithRoles(t.bos, t.eos, None)
}

// WithRoles returns t with the given ids as BOS, EOS and PAD, where t lacks them and
// the ids have a token. It returns t itself if nothing changes, else a copy. It is
// for tokens with unusual names: only their model's configuration gives their roles.
func (t *Tokenizer) WithRoles(bos, eos, pad int32) *Tokenizer {
	with := t
	for _, r := range []struct {
		id   int32
		role func(*Tokenizer) *int32
	}{
		{bos, func(t *Tokenizer) *int32 { return &t.bos }},
		{eos, func(t *Tokenizer) *int32 { return &t.eos }},
		{pad, func(t *Tokenizer) *int32 { return &t.pad }},
	} {
		if *r.role(t) != None || !t.valid(r.id) {
			continue
		}
		if with == t {
			c := *t // shares the tables with t
			with = &c
		}
		*r.role(with) = r.id
	}
	return with
}

// TakingLiterals returns a copy of t whose Encode turns the literal of an added
// token in a text, such as "[PAD]", into that token. The reference's tokenizer
// does so with any text. The copy shares the tables of t and writes the same file.
func (t *Tokenizer) TakingLiterals() *Tokenizer {
	with := *t
	with.takes = true
	return &with
}

// clone returns what t was built from, for a copy with changes.
func (s spec) clone() spec {
	s.added = slices.Clone(s.added)
	return s
}
