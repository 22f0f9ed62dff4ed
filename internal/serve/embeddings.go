package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/run"
)

// embedding is what a request asks of vectors.
type embedding struct {
	run      *served
	inputs   []input
	base64   bool
	perPatch bool
}

// embeddingList is the answer.
type embeddingList struct {
	Object string         `json:"object"`
	Data   []embedded     `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

type embedded struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`       // numbers, or text of base64; lists of numbers for each patch
	Shape     []int  `json:"shape,omitempty"` // [patches, latent], with pooling none
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	Total        int `json:"total_tokens"`
	Patches      int `json:"patches"`
}

// embeddings is /v1/embeddings: the means of the autoencoder's posterior, their mean over patches or all of them.
func (s *Server) embeddings(ctx context.Context, w http.ResponseWriter, f fields) {
	e, err := s.readEmbedding(f)
	if err == nil {
		var l *embeddingList
		if l, err = s.embed(ctx, e); err == nil {
			writeJSON(w, http.StatusOK, l)
			return
		}
	}
	s.problemOf(ctx, err).write(w)
}

func (s *Server) readEmbedding(f fields) (*embedding, error) {
	e, name := &embedding{}, ""
	if err := f.text("model", &name); err != nil {
		return nil, err
	}
	var err error
	if e.run, err = s.models.named(name); err != nil {
		return nil, err
	}
	if e.run.latent() == 0 {
		return nil, badField("model", "%s is %s: it has no latent vectors", e.run.name, e.run.about.Kind.Title())
	}
	if e.inputs, err = f.inputs("input"); err != nil {
		return nil, err
	}
	if len(e.inputs) == 0 {
		return nil, badField("input", "the request has no input: want text, a list of texts, ids, or a list of lists of ids")
	}
	dimensions, format, pooling := e.run.latent(), "float", "mean"
	if err := f.whole("dimensions", &dimensions, 1, math.MaxInt32); err != nil {
		return nil, err
	}
	if dimensions != e.run.latent() && !s.options.IgnoreUnsupported {
		return nil, unsupported("dimensions", "dimensions is %d: the latent vectors of %s have %d", dimensions, e.run.name, e.run.latent())
	}
	if err := f.text("encoding_format", &format); err != nil {
		return nil, err
	}
	if format != "float" && format != "base64" {
		return nil, badField("encoding_format", "encoding_format is %q: want float or base64", format)
	}
	if err := f.text("pooling", &pooling); err != nil {
		return nil, err
	}
	if pooling != "mean" && pooling != "none" {
		return nil, badField("pooling", "pooling is %q: want mean, for the mean over patches, or none, for a vector of each patch", pooling)
	}
	e.base64, e.perPatch = format == "base64", pooling == "none"
	return e, nil
}

// embed makes the vectors. It holds a slot, as a text does.
func (s *Server) embed(ctx context.Context, e *embedding) (*embeddingList, error) {
	place, err := s.gate.enter()
	if err != nil {
		return nil, err
	}
	defer place.leave()
	all, err := e.ids()
	if err != nil {
		return nil, err
	}
	tokens := 0
	for _, ids := range all {
		tokens += len(ids)
	}
	if tokens > s.options.MaxTokens {
		return nil, badField("input", "the input has %d tokens: this server takes at most %d for a request", tokens, s.options.MaxTokens)
	}
	m, release, err := s.models.acquire(ctx, e.run)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := place.take(ctx); err != nil {
		return nil, err
	}
	defer place.free()
	l := &embeddingList{Object: "list", Model: e.run.name}
	for i, ids := range all {
		vectors, err := encodeIDs(ctx, m, e.run.patch(), ids)
		if err != nil {
			return nil, err
		}
		s.metrics.prompt(e.run.name, len(ids))
		l.Usage.PromptTokens += len(ids)
		l.Usage.Patches += len(vectors)
		l.Data = append(l.Data, e.show(i, vectors))
	}
	l.Usage.Total = l.Usage.PromptTokens
	return l, nil
}

// ids returns the ids of all inputs.
func (e *embedding) ids() ([][]int32, error) {
	tok := e.run.about.TextTokenizer()
	var all [][]int32
	for i, in := range e.inputs {
		ids := in.ids
		if !in.byID && tok == nil {
			return nil, badField("input", "%s was imported without a tokenizer: give the input as ids", e.run.name)
		} else if !in.byID {
			ids = tok.Encode(in.text)
		}
		if len(ids) == 0 {
			return nil, badField("input", "input %d is empty: an empty text has no vector", i)
		}
		for _, id := range ids {
			if n := e.run.about.VocabSize(); int(id) >= n {
				return nil, badField("input", "input %d has the id %d: %s has 0 to %d", i, id, e.run.name, n-1)
			}
		}
		all = append(all, ids)
	}
	return all, nil
}

// patchesAtOnce is how many patches are encoded between two looks at the context.
const patchesAtOnce = 256

// encodeIDs returns the latent vectors of ids [patches, latent].
func encodeIDs(ctx context.Context, m *calm.Model, patch int, ids []int32) ([][]float32, error) {
	var vectors [][]float32
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(ids), patchesAtOnce*patch)
		more, err := m.EncodeIDs(ids[:n])
		if err != nil {
			return nil, err
		}
		vectors, ids = append(vectors, more...), ids[n:]
	}
	return vectors, nil
}

// show returns the vectors of an input in the form that is asked for.
func (e *embedding) show(index int, vectors [][]float32) embedded {
	out := embedded{Object: "embedding", Index: index}
	if e.perPatch {
		out.Shape = []int{len(vectors), len(vectors[0])}
		out.Embedding = any(vectors)
		if e.base64 {
			out.Embedding = inBase64(vectors...)
		}
		return out
	}
	v := mean(vectors)
	out.Embedding = any(v)
	if e.base64 {
		out.Embedding = inBase64(v)
	}
	return out
}

// mean returns the mean of vectors, of which there is one or more.
func mean(vectors [][]float32) []float32 {
	sums := make([]float64, len(vectors[0]))
	for _, v := range vectors {
		for i, x := range v {
			sums[i] += float64(x)
		}
	}
	out := make([]float32, len(sums))
	for i, sum := range sums {
		out[i] = float32(sum / float64(len(vectors)))
	}
	return out
}

// inBase64 returns the bytes of numbers, float32 in little-endian order, in base64, as OpenAI's clients ask for.
func inBase64(vectors ...[]float32) string {
	var b []byte
	for _, v := range vectors {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return base64.StdEncoding.EncodeToString(b)
}

// latent returns the size of a latent vector, or 0 where the model has none.
func (r *served) latent() int {
	if ae := r.about.Autoencoder(); ae != nil {
		return ae.Config.LatentSize
	}
	return 0
}

// patch returns how many tokens a patch has.
func (r *served) patch() int {
	if ae := r.about.Autoencoder(); ae != nil {
		return ae.Config.PatchSize
	}
	return 1
}

// samples reports whether the model takes samplers and draws below temperature 1.
func (r *served) samples() bool { return r.about.Kind == run.LM }
