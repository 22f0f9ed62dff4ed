package serve

import (
	"context"
	"net/http"
	"strings"

	"github.com/calm-go/calm/tokenizer"
)

// tokenizer returns the tokenizer of the model that a request names. It needs no weights.
func (s *Server) tokenizer(f fields) (*served, *tokenizer.Tokenizer, error) {
	name := ""
	if err := f.text("model", &name); err != nil {
		return nil, nil, err
	}
	r, err := s.models.named(name)
	if err != nil {
		return nil, nil, err
	}
	tok := r.about.TextTokenizer()
	if tok == nil {
		return nil, nil, badField("model", "%s was imported without a tokenizer", r.name)
	}
	return r, tok, nil
}

// tokenize is /tokenize: the ids of a text.
func (s *Server) tokenize(ctx context.Context, w http.ResponseWriter, f fields) {
	_, tok, err := s.tokenizer(f)
	if err == nil && !f.has("content") {
		err = badField("content", "the request has no content: want the text to turn into ids")
	}
	text := ""
	if err == nil {
		err = f.text("content", &text)
	}
	if err != nil {
		s.problemOf(ctx, err).write(w)
		return
	}
	ids := tok.Encode(text)
	writeJSON(w, http.StatusOK, map[string]any{"tokens": append([]int32{}, ids...), "count": len(ids)})
}

// detokenize is /detokenize: the text of ids.
func (s *Server) detokenize(ctx context.Context, w http.ResponseWriter, f fields) {
	r, tok, err := s.tokenizer(f)
	var ids []int32
	if err == nil {
		ids, err = f.tokens()
	}
	for _, id := range ids {
		if int(id) >= tok.VocabSize() && err == nil {
			err = badField("tokens", "there is no id %d: %s has 0 to %d", id, r.name, tok.VocabSize()-1)
		}
	}
	if err != nil {
		s.problemOf(ctx, err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"content": strings.ToValidUTF8(string(tok.AppendDecode(nil, ids)), "\ufffd")})
}

// tokens reads the ids to turn into text.
func (f fields) tokens() ([]int32, error) {
	v := f.value("tokens")
	if v == nil {
		return nil, badField("tokens", "the request has no tokens: want a list of ids")
	}
	elements, err := list("tokens", v)
	if err != nil {
		return nil, err
	}
	return idsOf("tokens", elements)
}
