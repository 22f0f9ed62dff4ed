package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// spec reads the file, and returns an error for anything that is not supported.
func (f *hfFile) spec() (spec, error) {
	if err := f.Model.check(); err != nil {
		return spec{}, err
	}
	s := spec{whole: f.Model.IgnoreMerges}
	var err error
	if s.normalizers, err = normalizersOf(f.Normalizer.flat()); err != nil {
		return spec{}, err
	}
	byteLevel := false
	if s.stages, byteLevel, err = stagesOf(f.PreTokenizer.flat()); err != nil {
		return spec{}, err
	}
	s.pieces = !byteLevel
	if err := f.readDecoder(&s); err != nil {
		return spec{}, err
	}
	if s.template, err = templateOf(f.PostProcessor.flat()); err != nil {
		return spec{}, err
	}
	s.own = s.template.plain
	if s.added, err = f.added(); err != nil {
		return spec{}, err
	}
	if err := f.readModel(&s); err != nil {
		return spec{}, err
	}
	if s.pieces && len(s.stages) == 0 {
		s.stages = []stage{{}}
	}
	if s.pieces && s.stages[0].split == splitNone {
		s.stages[0].split = f.wordsOfPieces()
	}
	s.file = f.parts(s)
	return s, nil
}

// check returns an error for a model that is not supported.
func (m *hfModel) check() error {
	switch {
	case m.Type != nil && *m.Type != "BPE":
		return fmt.Errorf("model type %q is not supported, only BPE", clip([]byte(*m.Type)))
	case len(m.Vocab) == 0:
		return fmt.Errorf("model.vocab is missing or empty")
	case m.Dropout != 0:
		return fmt.Errorf("model.dropout %v is not supported: encoding would be random", m.Dropout)
	case m.Prefix != "" || m.Suffix != "":
		return fmt.Errorf("model.continuing_subword_prefix %q and end_of_word_suffix %q are not supported, only empty ones", m.Prefix, m.Suffix)
	}
	return nil
}

// readDecoder reads the decoder, which must go with the vocabulary.
func (f *hfFile) readDecoder(s *spec) (err error) {
	d := f.Decoder.flat()
	if !s.pieces {
		if len(d) > 1 || len(d) == 1 && d[0].Type != "ByteLevel" {
			return fmt.Errorf("decoder %s is not supported with a byte-level pre_tokenizer, only ByteLevel", names(d))
		}
		return nil
	}
	if !f.Model.ByteFallback {
		return fmt.Errorf("pre_tokenizer [%s] without ByteLevel is not supported, except for SentencePiece's vocabularies with model.byte_fallback", names(f.PreTokenizer.flat()))
	}
	s.decoder, err = decoderOf(d)
	return err
}

// parts returns the parts that are written as they were read.
func (f *hfFile) parts(s spec) fileParts {
	p := fileParts{normalizer: f.Normalizer.raw, preTokenizer: f.PreTokenizer.raw, postProcessor: f.PostProcessor.raw, decoder: f.Decoder.raw}
	if !s.pieces {
		p.decoder = ""
		if ownForm(s.stages) {
			p.preTokenizer = ""
		}
		return p
	}
	p.unk = "null"
	if f.Model.Unk != nil {
		p.unk = quote(*f.Model.Unk)
	}
	p.fuseUnk, p.byteFallback = fmt.Sprint(f.Model.FuseUnk), "true"
	return p
}

// maxID returns the largest id that the file may use. It depends on the number of
// tokens: gaps are allowed, but few tokens cannot make a huge vocabulary. A token
// that is listed twice, in the vocabulary and as an added token, counts once.
func (f *hfFile) maxID() int64 {
	listed := make(map[string]bool, len(f.AddedTokens))
	for _, a := range f.AddedTokens {
		listed[a.Content] = true
	}
	n := len(listed)
	for _, v := range f.Model.Vocab {
		if !listed[v.text] {
			n++
		}
	}
	return 2*int64(n) + 1024
}

// added reads the added tokens. They are in the order of the file, as Hugging
// Face's library numbers them.
func (f *hfFile) added() ([]addedToken, error) {
	var added []addedToken
	content, ids := map[string]bool{}, map[int64]string{}
	for _, a := range f.AddedTokens {
		first, taken := ids[a.ID]
		switch {
		case a.Content == "":
			return nil, fmt.Errorf("added token %d is empty", a.ID)
		case content[a.Content]:
			return nil, fmt.Errorf("added token %q is listed twice", a.Content)
		case taken:
			return nil, fmt.Errorf("added tokens %q and %q have the same id %d", first, a.Content, a.ID)
		}
		content[a.Content], ids[a.ID] = true, a.Content
		added = append(added, addedToken{
			content: a.Content, id: int32(max(-1, min(a.ID, 1<<31-1))), special: a.Special, singleWord: a.SingleWord, lstrip: a.LStrip, rstrip: a.RStrip,
			normalized: a.Normalized == nil && !a.Special || a.Normalized != nil && *a.Normalized,
		})
	}
	return added, nil
}

// readModel reads vocabulary and merges into s, whose added tokens are set already.
func (f *hfFile) readModel(s *spec) error {
	maxID := f.maxID()
	inProportion := func(id int64, token string) error {
		if id < 0 || id > maxID {
			return fmt.Errorf("token %q has id %d, out of proportion to the %d tokens of the file", token, id, (maxID-1024)/2)
		}
		return nil
	}
	added := map[string]*addedToken{}
	names := map[int64]string{}
	for i := range s.added {
		a := &s.added[i]
		if err := inProportion(int64(a.id), a.content); err != nil {
			return err
		}
		added[a.content], names[int64(a.id)] = a, a.content
	}
	ids := make(map[string]int32, len(f.Model.Vocab))
	for _, v := range f.Model.Vocab {
		if err := inProportion(v.id, v.text); err != nil {
			return err
		}
		if _, twice := ids[v.text]; twice || v.text == "" {
			return fmt.Errorf("model.vocab: token %q is empty or listed twice", v.text)
		}
		a := added[v.text]
		if a != nil && int64(a.id) != v.id {
			return fmt.Errorf("added token %q has id %d, and in model.vocab %d", v.text, a.id, v.id)
		}
		if first, taken := names[v.id]; taken && first != v.text {
			return fmt.Errorf("tokens %q and %q have the same id %d", first, v.text, v.id)
		}
		names[v.id], ids[v.text] = v.text, int32(v.id)
		if a != nil {
			a.inVocab = true
		}
		if err := s.addToken(v, a != nil); err != nil {
			return err
		}
	}
	if err := numbered(s.added, len(ids)); err != nil {
		return err
	}
	if err := f.readMerges(s, ids); err != nil {
		return err
	}
	s.dropUnmade()
	return nil
}

// addToken adds a token of the vocabulary; added says that it is an added token too.
func (s *spec) addToken(v hfToken, added bool) error {
	token := []byte(v.text)
	if !s.pieces {
		var err error
		if token, err = fromByteLevel(v.text); err != nil && !added {
			return fmt.Errorf("model.vocab: %w", err)
		} else if err != nil {
			return nil // merging never makes it
		}
	}
	if int(v.id) >= len(s.tokens) {
		s.tokens = append(s.tokens, make([][]byte, int(v.id)+1-len(s.tokens))...)
	}
	s.tokens[v.id] = token
	return nil
}

// dropUnmade drops the added tokens of the vocabulary that only their literals make. So the literal of a special token in a
// text stays ordinary text, also where a word that is a token becomes that token.
func (s *spec) dropUnmade() {
	merged := s.merged()
	for _, a := range s.added {
		if s.made(a.id) && !merged[a.id] && !s.single(s.tokens[a.id]) && (a.special || !s.whole) {
			s.tokens[a.id] = nil
		}
	}
}

// merged returns the set of the tokens that merges make.
func (s *spec) merged() map[int32]bool {
	merged := make(map[int32]bool, len(s.merges))
	for _, m := range s.merges {
		merged[m.id] = true
	}
	return merged
}

// single reports whether a token is one byte, or one character of a SentencePiece vocabulary, so that no merge makes it.
func (s *spec) single(token []byte) bool {
	if !s.pieces {
		return len(token) == 1
	}
	_, is := byteOf(string(token))
	return is || utf8.RuneCount(token) == 1
}

// numbered returns an error if Hugging Face's library gives an added token another id than the file says. The library ignores
// the ids of added tokens: those that the vocabulary lists have their id from there, the others are numbered behind it.
func numbered(added []addedToken, vocab int) error {
	for i, id := range numbers(added, vocab) {
		if a := added[i]; a.id != id {
			return fmt.Errorf("added token %q has id %d, but Hugging Face's tokenizers library ignores this and gives it %d: set its id to %[3]d, or list it in model.vocab with %[2]d", a.content, a.id, id)
		}
	}
	return nil
}

// numbers returns the ids that Hugging Face's library gives added tokens. vocab is the number of tokens of the vocabulary.
func numbers(added []addedToken, vocab int) []int32 {
	ids := make([]int32, len(added))
	last := None
	for i, a := range added {
		switch {
		case a.inVocab:
			ids[i] = a.id
		case last >= int32(vocab) || last != None && vocab == 0:
			ids[i] = last + 1
		default:
			ids[i] = int32(vocab)
		}
		last = max(last, ids[i])
	}
	return ids
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
		if !s.made(left) || !s.made(right) || !s.made(id) {
			return fmt.Errorf("model.merges: merge %d, %q and %q, has a part that is not in the byte-level alphabet", i, p[0], p[1])
		}
		s.merges = append(s.merges, merge{left, right, id})
	}
	return nil
}

// wordsOfPieces returns how text can be cut into words before merging where the file does not cut it. If no merge makes a
// token with U+2581 behind another character, none crosses the places before U+2581 in a text.
func (f *hfFile) wordsOfPieces() split {
	for _, p := range f.Model.Merges {
		if text := []byte(p[0] + p[1]); splitSpaces1.next(text, 0) < len(text) {
			return splitNone
		}
	}
	return splitSpaces1
}
