package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// hfStage is a normalizer, pre-tokenizer, post-processor or decoder of a
// tokenizer.json, or a sequence of stages.
type hfStage struct {
	Type string `json:"type"`

	Pretokenizers hfStages `json:"pretokenizers"`
	Normalizers   hfStages `json:"normalizers"`
	Processors    hfStages `json:"processors"`
	Decoders      hfStages `json:"decoders"`

	AddPrefixSpace *bool     `json:"add_prefix_space"` // ByteLevel, Metaspace
	UseRegex       *bool     `json:"use_regex"`        // ByteLevel
	Pattern        hfPattern `json:"pattern"`          // Split, Replace
	Behavior       string    `json:"behavior"`         // Split
	Invert         bool      `json:"invert"`           // Split
	Individual     bool      `json:"individual_digits"`
	Replacement    string    `json:"replacement"`    // Metaspace
	PrependScheme  *string   `json:"prepend_scheme"` // Metaspace
	Split          *bool     `json:"split"`          // Metaspace
	Prepend        string    `json:"prepend"`        // Prepend
	Content        string    `json:"content"`        // Replace, Strip
	Start          int       `json:"start"`          // Strip
	Stop           int       `json:"stop"`           // Strip

	Single        []hfPiece                `json:"single"` // TemplateProcessing
	Pair          []hfPiece                `json:"pair"`
	SpecialTokens map[string]hfTemplateIDs `json:"special_tokens"`
	CLS           json.RawMessage          `json:"cls"` // BertProcessing, RobertaProcessing
	SEP           json.RawMessage          `json:"sep"`
}

// hfSection is a part of a tokenizer.json with its text.
type hfSection struct {
	*hfStage
	raw string // without spaces; "" for null
}

// UnmarshalJSON reads a stage.
func (s *hfSection) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &s.hfStage); err != nil || s.hfStage == nil {
		return err
	}
	var b bytes.Buffer
	err := json.Compact(&b, data)
	s.raw = b.String()
	return err
}

// hfStages are the parts of a sequence.
type hfStages []*hfStage

// maxStages is the largest length of a sequence's text in bytes. It bounds memory: a stage takes a hundred times as much as
// the shortest text for one.
const maxStages = 64 << 10

// UnmarshalJSON reads a list no longer than maxStages.
func (s *hfStages) UnmarshalJSON(data []byte) error {
	if len(data) > maxStages {
		return fmt.Errorf("a sequence of stages has %d bytes, more than any tokenizer's", len(data))
	}
	return json.Unmarshal(data, (*[]*hfStage)(s))
}

// hfPattern is {"Regex": "..."} or {"String": "..."}. In other stages the key has
// other values.
type hfPattern struct{ Regex, String string }

// UnmarshalJSON reads either and leaves anything else empty.
func (p *hfPattern) UnmarshalJSON(data []byte) error {
	var r struct{ Regex, String string }
	if json.Unmarshal(data, &r) == nil {
		*p = r
	}
	return nil
}

// flat returns the stages of s, with sequences expanded; none for nil.
func (s *hfStage) flat() []*hfStage {
	if s == nil {
		return nil
	}
	if s.Type != "Sequence" {
		return []*hfStage{s}
	}
	var all []*hfStage
	for _, part := range []hfStages{s.Pretokenizers, s.Normalizers, s.Processors, s.Decoders} {
		for _, p := range part {
			all = append(all, p.flat()...)
		}
	}
	return all
}

// names lists the types of stages for a message: at most eight.
func names(stages []*hfStage) string {
	const maxNames = 8
	var n []string
	for _, s := range stages[:min(maxNames, len(stages))] {
		n = append(n, fmt.Sprintf("%q", clip([]byte(s.Type))))
	}
	if len(stages) > maxNames {
		n = append(n, fmt.Sprintf("and %d more", len(stages)-maxNames))
	}
	return strings.Join(n, ", ")
}

// A stage is a part of a pre-tokenizer: it cuts a text into words, which the next
// stage cuts further.
type stage struct {
	split    split
	spelling int    // of its pattern, an index into patterns
	prefix   string // put before a text that does not begin with it
	first    bool   // the prefix is only for the beginning of a whole text
	replaces bool   // spaces become U+2581
}

// stagesOf returns how a pre-tokenizer cuts text, and whether it is byte-level.
// Supported are Metaspace alone, and any sequence of Split by a known pattern,
// Digits and ByteLevel that has one ByteLevel, at its end.
func stagesOf(stages []*hfStage) (all []stage, byteLevel bool, err error) {
	for i, s := range stages {
		switch last := i == len(stages)-1; {
		case s.Type == "ByteLevel" && last:
			all, byteLevel = append(all, s.byteLevel()), true
		case s.Type == "Digits" && !last:
			cut := splitDigits
			if s.Individual {
				cut = splitDigit
			}
			all = append(all, stage{split: cut})
		case s.Type == "Split" && !last:
			cut, err := s.cut()
			if err != nil {
				return nil, false, err
			}
			all = append(all, cut)
		case s.Type == "Metaspace" && len(stages) == 1:
			one, err := s.metaspace()
			return []stage{one}, false, err
		default:
			return nil, false, fmt.Errorf("pre_tokenizer [%s] is not supported, only ByteLevel, also after Split and Digits, and Metaspace alone", names(stages))
		}
	}
	return all, byteLevel, nil
}

// byteLevel reads a pre-tokenizer ByteLevel.
func (s *hfStage) byteLevel() stage {
	var level stage
	if s.UseRegex == nil || *s.UseRegex {
		level.split = splitGPT2
	}
	if s.AddPrefixSpace == nil || *s.AddPrefixSpace {
		level.prefix = " "
	}
	return level
}

// cut reads a pre-tokenizer Split.
func (s *hfStage) cut() (cut stage, err error) {
	known := false
	for by, all := range patterns {
		if i := slices.Index(all, s.Pattern.Regex); i >= 0 {
			cut, known = stage{split: by, spelling: i}, true
		}
	}
	switch {
	case !known:
		return cut, fmt.Errorf("pre_tokenizer Split: the pattern %q is not supported, only those of GPT-2, Llama 3, Qwen 2, Tekken, cl100k and o200k", clip([]byte(s.Pattern.Regex+s.Pattern.String)))
	case s.Behavior != "Isolated" || s.Invert:
		return cut, fmt.Errorf("pre_tokenizer Split: behavior %q with invert %t is not supported, only Isolated with invert false", s.Behavior, s.Invert)
	}
	return cut, nil
}

// metaspace reads a pre-tokenizer Metaspace.
func (s *hfStage) metaspace() (stage, error) {
	if s.Replacement != string(metaspace) {
		return stage{}, fmt.Errorf("pre_tokenizer Metaspace: replacement %q is not supported, only %q", s.Replacement, metaspace)
	}
	m := stage{replaces: true}
	if s.Split == nil || *s.Split {
		m.split = splitSpaces
	}
	switch scheme := s.scheme(); scheme {
	case "always", "first":
		m.prefix, m.first = s.Replacement, scheme == "first"
	case "never":
	default:
		return stage{}, fmt.Errorf("pre_tokenizer Metaspace: prepend_scheme %q is not supported, only always, first and never", clip([]byte(scheme)))
	}
	return m, nil
}

// scheme returns the prepend_scheme of a Metaspace.
func (s *hfStage) scheme() string {
	switch {
	case s.AddPrefixSpace != nil && !*s.AddPrefixSpace:
		return "never"
	case s.PrependScheme != nil:
		return *s.PrependScheme
	}
	return "always"
}

// ownForm reports whether byte-level stages are what calm writes for one split.
func ownForm(stages []stage) bool {
	switch len(stages) {
	case 1:
		return stages[0] == stage{split: splitNone} || stages[0] == stage{split: splitGPT2}
	case 2:
		return patterns[stages[0].split] != nil && stages[0] == stage{split: stages[0].split} && stages[1] == stage{}
	}
	return false
}
