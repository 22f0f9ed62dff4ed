package generate

import "slices"

// start returns what stands before a text. It is BOS, as at the beginning of a document; or EOS, the end of the document
// before, if the post-processor of the tokenizer adds only EOS; or nothing, if it adds nothing.
func (g *Generator) start() []int32 {
	switch {
	case g.tok == nil || g.tok.AddsBOS():
		return []int32{g.shape.BOS}
	case g.tok.AddsEOS():
		return []int32{g.shape.EOS}
	}
	return nil
}

// Dropped returns how many tokens at the beginning of a prompt of that many are not read, because the context has no room
// for them. Check must accept the options.
func (g *Generator) Dropped(prompt int, o Options) int { return max(0, prompt-g.longestPrompt(o)) }

// Encode turns a prompt into ids. Literals of special tokens in it are ordinary text, unless the tokenizer takes them
// (Tokenizer.TakingLiterals). Without a tokenizer it returns an *InputError.
func (g *Generator) Encode(prompt string) ([]int32, error) {
	if g.tok == nil {
		return nil, inputError("generate: the model has no tokenizer to read a prompt with: give ids")
	}
	return g.tok.Encode(prompt), nil
}

// aligned returns what the model reads for a prompt: whole patches that end with it.
func (g *Generator) aligned(prompt, tail []int32) []int32 {
	k, start := g.shape.PatchSize, g.start()
	missing := (k - (len(start)+len(prompt))%k) % k
	if len(start)+len(prompt) == 0 {
		missing = k
	}
	return slices.Concat(g.front(tail, missing), start, prompt)
}

// front returns the last n tokens of a tail, after as many newlines as it lacks; where there is no tokenizer, BOS, as
// after empty documents.
func (g *Generator) front(tail []int32, n int) []int32 {
	filler := []int32{g.shape.BOS}
	if g.tok != nil {
		filler = g.tok.Encode("\n")
	}
	var ids []int32
	for len(ids)+len(tail) < n {
		ids = append(ids, filler...)
	}
	ids = append(ids, tail...)
	return ids[len(ids)-n:]
}
