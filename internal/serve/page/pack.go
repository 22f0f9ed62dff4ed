package page

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/nn/random"
)

// Shapes: P patches, K tokens a patch, Z latent size.

// packRequest asks for the latent vectors of a text.
type packRequest struct {
	Model string `json:"model"` // "" for the first
	Text  string `json:"text"`
	Seed  uint64 `json:"seed"` // of the noise
}

// packed is a text as vectors.
type packed struct {
	PatchSize int         `json:"patch_size"` // K
	Tokens    []token     `json:"tokens"`     // of the text; the last patch may be filled up with padding, which is not among them
	Latents   [][]float64 `json:"latents"`    // [P, Z] means of the posteriors
	Noise     [][]float64 `json:"noise"`      // [P, Z] what unpackRequest.Sigma multiplies
}

// unpackRequest asks for the text that comes back from these vectors plus noise.
type unpackRequest struct {
	Model string  `json:"model"`
	Text  string  `json:"text"`
	Seed  uint64  `json:"seed"`
	Sigma float64 `json:"sigma"` // 0 to 1
}

// unpacked is a text that came back from vectors.
type unpacked struct {
	Tokens []token `json:"tokens"` // as many as in the text
	Right  int     `json:"right"`  // number of tokens that are those of the text
}

// vectors are a text's tokens and latent vectors.
type vectors struct {
	ids     []int32     // without padding
	latents [][]float32 // [P, Z]
}

// encode packs a text.
func encode(m *calm.Model, text string) (v vectors, err error) {
	switch {
	case text == "":
		return v, refuse(http.StatusBadRequest, "there is no text")
	case len(text) > limits.Text:
		return v, refuse(http.StatusBadRequest, "the text has %d bytes: want at most %d", len(text), limits.Text)
	case m.Tokenizer() == nil:
		return v, calm.ErrNoTokenizer
	}
	v.ids = m.Tokenizer().Encode(text)
	v.latents, err = m.EncodeIDs(v.ids)
	return v, err
}

// noise returns standard normal noise [P, Z]. It follows from seed, patch and dimension alone, so that the noise of a patch
// stays when text is added after it, and every sigma multiplies the same draws.
func (v vectors) noise(seed uint64) [][]float32 {
	list := make([][]float32, len(v.latents))
	stream := random.Stream{Seed: seed, Draw: random.ID("page/noise")}
	for i, z := range v.latents {
		list[i] = make([]float32, len(z))
		random.Normal(list[i], stream, i*len(z))
	}
	return list
}

// pack is the endpoint that packs a text.
func (p page) pack(w http.ResponseWriter, r *http.Request) error {
	q, err := decode[packRequest](w, r)
	if err != nil {
		return err
	}
	var answer packed
	err = p.encoded(r.Context(), q.Model, q.Text, func(m *calm.Model, v vectors) error {
		patch, err := m.DecodeIDs(v.latents[:1])
		answer = packed{len(patch), namer{m.Tokenizer()}.all(v.ids), rounded(v.latents), rounded(v.noise(q.Seed))}
		return err
	})
	if err != nil {
		return err
	}
	return send(w, r, answer)
}

// encoded calls do with the model of a name and with a text that it packed. The model is free before the answer is sent.
func (p page) encoded(ctx context.Context, model, text string, do func(*calm.Model, vectors) error) error {
	m, release, err := p.acquire(ctx, model)
	if err != nil {
		return err
	}
	defer release()
	v, err := encode(m, text)
	if err != nil {
		return err
	}
	return do(m, v)
}

// unpack is the endpoint that decodes a text's vectors plus noise.
func (p page) unpack(w http.ResponseWriter, r *http.Request) error {
	q, err := decode[unpackRequest](w, r)
	if err != nil {
		return err
	}
	if q.Sigma < 0 || q.Sigma > 1 {
		return refuse(http.StatusBadRequest, "sigma is %g: want 0 to 1", q.Sigma)
	}
	var answer unpacked
	err = p.encoded(r.Context(), q.Model, q.Text, func(m *calm.Model, v vectors) error {
		for i, noise := range v.noise(q.Seed) {
			for j, n := range noise {
				v.latents[i][j] += float32(q.Sigma) * n
			}
		}
		ids, err := m.DecodeIDs(v.latents)
		if err != nil {
			return err
		}
		answer.Tokens = namer{m.Tokenizer()}.all(ids[:len(v.ids)])
		for i, id := range v.ids {
			if ids[i] == id {
				answer.Right++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return send(w, r, answer)
}

// rounded returns numbers as the page draws them, in thousandths.
func rounded(list [][]float32) [][]float64 {
	short := make([][]float64, len(list))
	for i, row := range list {
		short[i] = make([]float64, len(row))
		for j, x := range row {
			short[i][j] = math.Round(1000*float64(x)) / 1000
			if math.IsNaN(short[i][j]) || math.IsInf(short[i][j], 0) { // of a model that diverged; JSON has neither
				short[i][j] = 0
			}
		}
	}
	return short
}

func (n namer) all(ids []int32) []token {
	list := make([]token, len(ids))
	for i, id := range ids {
		list[i] = token{ID: id, Name: n.name(id)}
	}
	return list
}

// name returns a token's bytes as text. Bytes that are part of a character, and control characters other than newline and
// tab, are written as \x and two digits. An id without a token is written as its number.
func (n namer) name(id int32) string {
	data := n.tok.Token(id)
	if data == nil {
		return fmt.Sprintf("#%d", id)
	}
	var b strings.Builder
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1, unicode.IsControl(r) && r != '\n' && r != '\t':
			for _, c := range data[:size] {
				fmt.Fprintf(&b, `\x%02X`, c)
			}
		default:
			b.WriteRune(r)
		}
		data = data[size:]
	}
	return b.String()
}
