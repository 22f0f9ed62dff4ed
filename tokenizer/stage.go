package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// hfStage is a normalizer, pre-tokenizer, post-processor or decoder of a
// tokenizer.json, or a sequence of them.
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

// mostStages bounds the text of a sequence: a stage takes a hundred times the memory of the shortest text for one.
const mostStages = 64 << 10

// UnmarshalJSON reads a list no longer than mostStages.
func (s *hfStages) UnmarshalJSON(data []byte) error {
	if len(data) > mostStages {
		return fmt.Errorf("a sequence of stages is %d bytes long: no tokenizer has so many", len(data))
	}
	return json.Unmarshal(data, (*[]*hfStage)(s))
}

// hfPattern is {"Regex": "..."} or {"String": "..."}; other stages use the name
// for other things.
type hfPattern struct{ Regex string }

// UnmarshalJSON reads a regular expression and leaves anything else empty.
func (p *hfPattern) UnmarshalJSON(data []byte) error {
	var r struct{ Regex string }
	if json.Unmarshal(data, &r) == nil {
		p.Regex = r.Regex
	}
	return nil
}

// flat returns the stages of s, sequences resolved: none for null.
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

// names lists the types of stages for a message, of many the first.
func names(stages []*hfStage) string {
	const most = 8
	var n []string
	for _, s := range stages[:min(most, len(stages))] {
		n = append(n, fmt.Sprintf("%q", clip([]byte(s.Type))))
	}
	if len(stages) > most {
		n = append(n, fmt.Sprintf("and %d more", len(stages)-most))
	}
	return strings.Join(n, ", ")
}

// splitOf returns how a pre-tokenizer cuts text: ByteLevel alone, by GPT-2's
// pattern or not at all, or one of the known patterns and ByteLevel behind it.
func splitOf(stages []*hfStage) (split, error) {
	if len(stages) == 0 || stages[len(stages)-1].Type != "ByteLevel" || len(stages) > 2 {
		return 0, fmt.Errorf("pre_tokenizer [%s] is not supported, only ByteLevel, alone or behind one Split", names(stages))
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
		return 0, fmt.Errorf("pre_tokenizer %q before ByteLevel (use_regex %t) is not supported, only a Split before ByteLevel without a regex of its own", cut.Type, useRegex)
	}
	if cut.Behavior != "Isolated" || cut.Invert {
		return 0, fmt.Errorf("pre_tokenizer Split: behavior %q with invert %t is not supported, only Isolated without", cut.Behavior, cut.Invert)
	}
	for s, pattern := range patterns {
		if pattern != "" && cut.Pattern.Regex == pattern {
			return split(s), nil
		}
	}
	return 0, fmt.Errorf("pre_tokenizer Split: the pattern %q is not supported, only those of Llama 3, Qwen 2 and GPT-2", clip([]byte(cut.Pattern.Regex)))
}
