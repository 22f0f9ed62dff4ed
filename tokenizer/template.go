package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A template says which tokens the post-processor of a tokenizer.json puts before and behind a text.
type template struct {
	before, after []int32
	plain         bool // it is what calm writes for a tokenizer that puts BOS before a text; see bosTemplate
}

// hfPiece is a part of a template.
type hfPiece struct {
	SpecialToken *hfPart
	Sequence     *hfPart
}

type hfPart struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

// hfTemplateIDs are the ids of a special token of a template.
type hfTemplateIDs struct {
	IDs []int64 `json:"ids"`
}

// templateOf reads a post-processor.
func templateOf(stages []*hfStage) (template, error) {
	var all template
	for _, s := range stages {
		var one template
		var err error
		switch s.Type {
		case "ByteLevel": // changes offsets only
		case "TemplateProcessing":
			one, err = s.template()
		case "BertProcessing", "RobertaProcessing":
			one, err = s.bert()
		default:
			err = fmt.Errorf("post_processor %q is not supported, only ByteLevel, TemplateProcessing, BertProcessing and RobertaProcessing", clip([]byte(s.Type)))
		}
		if err != nil {
			return template{}, err
		}
		all.before = append(one.before, all.before...)
		all.after = append(all.after, one.after...)
		all.plain = one.plain && len(stages) == 1
	}
	if len(all.before) > 1 || len(all.after) > 1 {
		return template{}, fmt.Errorf("post_processor puts %d tokens before a text and %d behind it: at most one each is supported, BOS and EOS", len(all.before), len(all.after))
	}
	return all, nil
}

// template reads a TemplateProcessing.
func (s *hfStage) template() (template, error) {
	var t template
	sequences := 0
	for _, p := range s.Single {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "A":
			sequences++
		case p.SpecialToken != nil && sequences == 0:
			t.before = append(t.before, s.ids(p)...)
		case p.SpecialToken != nil:
			t.after = append(t.after, s.ids(p)...)
		}
		if p.SpecialToken != nil && len(s.ids(p)) == 0 {
			return t, fmt.Errorf("post_processor: special_tokens has no id of %q", clip([]byte(p.SpecialToken.ID)))
		}
	}
	if sequences != 1 {
		return t, fmt.Errorf("post_processor: the template of one text has it %d times, not once", sequences)
	}
	if len(t.before) == 1 && len(t.after) == 0 && len(s.SpecialTokens) == 1 {
		t.plain = same(s.Single, "bos 0", "A 0") && same(s.Pair, "bos 0", "A 0", "bos 1", "B 1")
	}
	return t, nil
}

// ids returns the ids of a special token.
func (s *hfStage) ids(p hfPiece) (ids []int32) {
	for _, id := range s.SpecialTokens[p.SpecialToken.ID].IDs {
		ids = append(ids, int32(min(max(id, -1), 1<<30)))
	}
	return ids
}

// same reports whether pieces are the given ones: a sequence or "bos" and a type id.
func same(pieces []hfPiece, want ...string) bool {
	return slices.EqualFunc(pieces, want, func(p hfPiece, want string) bool {
		switch {
		case p.SpecialToken != nil:
			return fmt.Sprint("bos ", p.SpecialToken.TypeID) == want
		case p.Sequence != nil:
			return fmt.Sprint(p.Sequence.ID, " ", p.Sequence.TypeID) == want
		}
		return false
	})
}

// bert reads a BertProcessing or a RobertaProcessing: [CLS] before a text, [SEP] behind it.
func (s *hfStage) bert() (template, error) {
	var t template
	for _, token := range []struct {
		json json.RawMessage
		to   *[]int32
	}{{s.CLS, &t.before}, {s.SEP, &t.after}} {
		var name string
		id := int32(None)
		if err := json.Unmarshal(token.json, &[]any{&name, &id}); err != nil || id == None {
			return t, fmt.Errorf("post_processor %s: cls and sep must be a token and its id", s.Type)
		}
		*token.to = append(*token.to, id)
	}
	return t, nil
}

// bosTemplate returns the post-processor that puts BOS before every text.
func (t *Tokenizer) bosTemplate() string {
	bos := quote(t.key(t.bos))
	token := func(typeID int) string {
		return fmt.Sprintf(`{"SpecialToken": {"id": %s, "type_id": %d}}`, bos, typeID)
	}
	return strings.Join([]string{
		`{"type": "TemplateProcessing",`,
		`    "single": [` + token(0) + `, {"Sequence": {"id": "A", "type_id": 0}}],`,
		`    "pair": [` + token(0) + `, {"Sequence": {"id": "A", "type_id": 0}}, ` + token(1) + `, {"Sequence": {"id": "B", "type_id": 1}}],`,
		`    "special_tokens": {` + fmt.Sprintf(`%s: {"id": %s, "ids": [%d], "tokens": [%s]}`, bos, bos, t.bos, bos) + `}`,
		`  }`,
	}, "\n")
}
