package tokenizer

import (
	"encoding/json"
	"fmt"
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

	AddPrefixSpace *bool     `json:"add_prefix_space"` // ByteLevel
	UseRegex       *bool     `json:"use_regex"`
	Pattern        hfPattern `json:"pattern"` // Split
	Behavior       string    `json:"behavior"`
	Invert         bool      `json:"invert"`
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
type hfPattern struct{ Regex string }

// UnmarshalJSON reads a regular expression and leaves anything else empty.
func (p *hfPattern) UnmarshalJSON(data []byte) error {
	var r struct{ Regex string }
	if json.Unmarshal(data, &r) == nil {
		p.Regex = r.Regex
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

// splitOf returns how a pre-tokenizer cuts text. Supported are ByteLevel alone,
// with GPT-2's pattern or none, and a Split by a known pattern before ByteLevel.
func splitOf(stages []*hfStage) (split, error) {
	if len(stages) == 0 || stages[len(stages)-1].Type != "ByteLevel" || len(stages) > 2 {
		return 0, fmt.Errorf("pre_tokenizer [%s] is not supported, only ByteLevel, alone or after one Split", names(stages))
	}
	level := stages[len(stages)-1]
	if level.AddPrefixSpace == nil || *level.AddPrefixSpace {
		return 0, fmt.Errorf("pre_tokenizer ByteLevel: add_prefix_space must be false, or text would not come back byte for byte")
	}
	useRegex := level.UseRegex == nil || *level.UseRegex
	if len(stages) == 1 {
		if useRegex {
			return splitGPT2, nil
		}
		return splitNone, nil
	}
	cut := stages[0]
	if cut.Type != "Split" || useRegex {
		return 0, fmt.Errorf("pre_tokenizer %q before ByteLevel (use_regex %t) is not supported, only a Split before a ByteLevel with use_regex false", cut.Type, useRegex)
	}
	if cut.Behavior != "Isolated" || cut.Invert {
		return 0, fmt.Errorf("pre_tokenizer Split: behavior %q with invert %t is not supported, only Isolated with invert false", cut.Behavior, cut.Invert)
	}
	for s, pattern := range patterns {
		if pattern != "" && cut.Pattern.Regex == pattern {
			return split(s), nil
		}
	}
	return 0, fmt.Errorf("pre_tokenizer Split: the pattern %q is not supported, only those of Llama 3, Qwen 2 and GPT-2", clip([]byte(cut.Pattern.Regex)))
}
