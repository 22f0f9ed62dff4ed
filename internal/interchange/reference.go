package interchange

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/run"
)

// reference holds the keys of the reference's config.json that describe a model, for all kinds of models. A key that a file lacks
// is nil.
type reference struct {
	Architectures []string `json:"architectures"`
	ModelType     *string  `json:"model_type"`

	VocabSize             *int     `json:"vocab_size"`
	HiddenSize            *int     `json:"hidden_size"`
	IntermediateSize      *int     `json:"intermediate_size"`
	NumHiddenLayers       *int     `json:"num_hidden_layers"`
	NumAttentionHeads     *int     `json:"num_attention_heads"`
	NumKeyValueHeads      *int     `json:"num_key_value_heads"`
	HeadDim               *int     `json:"head_dim"`
	MaxPositionEmbeddings *int     `json:"max_position_embeddings"`
	RMSNormEps            *float64 `json:"rms_norm_eps"`
	RopeTheta             *float64 `json:"rope_theta"`
	InitializerRange      *float64 `json:"initializer_range"`
	MLPBias               *bool    `json:"mlp_bias"`
	TieWordEmbeddings     *bool    `json:"tie_word_embeddings"`
	BOSTokenID            *int     `json:"-"` // these three may be lists, see tokenID
	EOSTokenID            *int     `json:"-"`
	PadTokenID            *int     `json:"-"`

	PatchSize        *int     `json:"patch_size"`
	LatentSize       *int     `json:"latent_size"`
	NumEncoderLayers *int     `json:"num_encoder_layers"`
	NumDecoderLayers *int     `json:"num_decoder_layers"`
	AEDropout        *float64 `json:"ae_dropout"`
	KLClamp          *float64 `json:"kl_clamp"`
	KLWeight         *float64 `json:"kl_weight"`

	AEPath       *string  `json:"ae_path"`
	NumMLPLayers *int     `json:"num_mlp_layers"`
	NumSamples   *int     `json:"num_samples"`
	Beta         *float64 `json:"beta"`
	NoiseSize    *int     `json:"noise_size"`

	notes []string // what the file says that calm reads otherwise, or not at all
}

// note adds a note.
func (r *reference) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// maxConfigBytes is the largest size of a config.json, which is a page of text.
const maxConfigBytes = 4 << 20

// readUpTo reads a file, but at most limit+1 bytes of it.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// readReference reads the config.json in a directory of the reference, see parseReference.
func readReference(dir string) (*reference, error) {
	path := filepath.Join(dir, checkpoint.ConfigFile)
	data, err := readUpTo(path, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: it is not a model of the reference", dir, checkpoint.ConfigFile)
	}
	if err != nil {
		return nil, err
	}
	if len(data) > maxConfigBytes {
		return nil, fmt.Errorf("%s is larger than %d MB: is it another file?", path, maxConfigBytes>>20)
	}
	return parseReference(path, data)
}

// parseReference reads a config.json of the reference; errors call it by its path. Keys that calm does not know are listed in a
// note. They are errors only if they change what the model computes, see foreign.
func parseReference(path string, data []byte) (*reference, error) {
	var all map[string]jsontext.Value
	// Decode reports a syntax error or a key that is repeated, with its line.
	_ = json.Unmarshal(data, &all, jsontext.AllowDuplicateNames(true))
	var kind run.Kind
	if json.Unmarshal(all["kind"], &kind) == nil && kind != "" {
		return nil, fmt.Errorf("%s is a run of calm already, of kind %s: it need not be imported", filepath.Dir(path), kind)
	}
	ignored := config.Ignored{}
	for key := range all {
		ignored[key] = ""
	}
	r, err := config.Decode(reference{}, path, data, ignored)
	if err != nil {
		return nil, err
	}
	var problems config.Problems
	for _, id := range []struct {
		key string
		to  **int
	}{{"bos_token_id", &r.BOSTokenID}, {"eos_token_id", &r.EOSTokenID}, {"pad_token_id", &r.PadTokenID}} {
		*id.to = r.tokenID(&problems, id.key, all[id.key])
	}
	r.bounded(&problems)
	r.rope(&problems, all)
	r.foreign(&problems, all)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

// tokenID reads the id of a special token. Where transformers allows several ids, as for the end of a text, it takes the first.
func (r *reference) tokenID(problems *config.Problems, key string, raw jsontext.Value) *int {
	if len(raw) == 0 || raw.Kind() == 'n' {
		return nil
	}
	ids := make([]int, 1)
	var err error
	if raw.Kind() == '[' {
		err = json.Unmarshal(raw, &ids)
	} else {
		err = json.Unmarshal(raw, &ids[0])
	}
	if err != nil || slices.ContainsFunc(ids, func(id int) bool { return id < -1 || id > math.MaxInt32 }) {
		problems.Add(key, jsonText(raw), fmt.Sprintf("want a token's id, or a list of ids, each at most %d, or null", math.MaxInt32))
		return nil
	}
	if len(ids) == 0 {
		return nil
	}
	if len(ids) > 1 {
		r.note("%s is a list, %s: its first id counts", key, plural.Shorten(string(raw)))
	}
	return &ids[0]
}

// bounded adds problems for integers that are larger than any model's. It is called before anything is computed with them.
func (r *reference) bounded(problems *config.Problems) {
	v := reflect.ValueOf(*r)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if key := f.Tag.Get("json"); f.Type == reflect.TypeFor[*int]() && key != "-" && !v.Field(i).IsNil() {
			n := v.Field(i).Elem().Int()
			problems.Check(n <= math.MaxInt32, key, n, fmt.Sprintf("want at most %d", math.MaxInt32))
			problems.Check(n >= 0, key, n, "want 0 or more")
		}
	}
}

// kindOf returns the kind of model by the class that saved it, or if that is unknown, by the names of its tensors. head is the
// kind of head (model_type) of a language model.
func (r *reference) kindOf(have map[string]source) (kind run.Kind, head string, err error) {
	for _, class := range r.Architectures {
		switch class {
		case "Autoencoder":
			return run.AE, "", nil
		case "LlamaForCausalLM":
			return run.AR, "", nil
		}
		if head, ok := headNamed(class); ok {
			return run.LM, head, nil
		}
	}
	if len(r.Architectures) > 0 {
		r.note("architectures is %s, no class of the reference: the kind of model is taken from the names of its tensors", listed(r.Architectures))
	}
	has := func(name string) bool { _, ok := have[name]; return ok }
	switch {
	case has("transformer.embed_tokens.weight"):
		return run.LM, headOf(r, have), nil
	case has(aeTable) || has(aeHead):
		return run.AE, "", nil
	case has("model.embed_tokens.weight"):
		return run.AR, "", nil
	}
	return "", "", fmt.Errorf("it is no model that calm knows: architectures are %s, and among its %s is no table of embeddings by a name of the reference's",
		listed(r.Architectures), plural.Count(len(have), "tensor"))
}
