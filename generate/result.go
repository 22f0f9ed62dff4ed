package generate

import (
	"fmt"

	"github.com/calm-go/calm/internal/plural"
)

// Stop is why a text ended.
type Stop string

const (
	StopEnd         Stop = "end of text"  // the model wrote EOS or BOS, which are not part of the text
	StopText        Stop = "stop text"    // the text came to one of Options.StopTexts, which is not part of it
	StopMaxTokens   Stop = "max tokens"   // as many tokens are written as may be
	StopContext     Stop = "context full" // prompt and text fill the context, with StopWhenFull
	StopInterrupted Stop = "interrupted"  // the context.Context was cancelled, or the caller left the loop
	StopError       Stop = "error"        // the one that the text ended with
)

// Result says how a text was written.
type Result struct {
	Stop          Stop    `json:"stop"`           // "" while it is being written
	PromptTokens  int     `json:"prompt_tokens"`  // without BOS and what stands in front of it
	PromptDropped int     `json:"prompt_dropped"` // of these, tokens at the beginning that were not read: the prompt was longer than the context
	Tokens        int     `json:"tokens"`         // written, without the one that ended the text, or a stop text
	Patches       int     `json:"patches"`        // made, the last one included even if it was cut; tokens for the baseline
	Draws         int     `json:"draws"`          // of all patches, those that the sampler looked at
	Seconds       float64 `json:"seconds"`        // from the beginning to the latest chunk
	Context       int     `json:"context"`        // tokens that the model attends to at most
	Slides        int     `json:"slides"`         // how often the context was full, and its newest half was read again
}

// Message is a sentence for whoever reads the text, where it ended for a reason that its last words do not show; else "".
func (r Result) Message() string {
	switch r.Stop {
	case StopContext:
		return fmt.Sprintf("the text ends here because prompt and text fill the context of %s", plural.Count(r.Context, "token"))
	case StopMaxTokens:
		return fmt.Sprintf("the text ends here because its length is limited to %s", plural.Count(r.Tokens, "token"))
	}
	return ""
}
