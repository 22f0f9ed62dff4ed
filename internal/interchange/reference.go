package interchange

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/checkpoint"
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
	BOSTokenID            *int     `json:"bos_token_id"`
	EOSTokenID            *int     `json:"eos_token_id"`
	PadTokenID            *int     `json:"pad_token_id"`

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
}

// readReference reads the config.json in a directory of the reference. Keys that calm does not know are errors, since they might
// change what the model computes.
func readReference(dir string) (*reference, error) {
	path := filepath.Join(dir, checkpoint.ConfigFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: it is not a model of the reference", dir, checkpoint.ConfigFile)
	}
	ours, err := config.Peek[struct {
		Kind string `json:"kind"`
	}](path)
	if err != nil {
		return nil, err
	}
	if ours.Kind != "" {
		return nil, fmt.Errorf("%s is a run of calm already, of kind %s: it need not be imported", dir, ours.Kind)
	}
	r, err := config.Load(reference{}, path, config.Reference())
	if err != nil {
		return nil, err
	}
	return &r, r.bounded(path)
}

// bounded returns an error for integers that are larger than any model's. It is called before anything is computed with them.
func (r reference) bounded(path string) error {
	var problems config.Problems
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		if n, ok := v.Field(i).Interface().(*int); ok && n != nil {
			problems.Check(*n <= math.MaxInt32, v.Type().Field(i).Tag.Get("json"), *n, fmt.Sprintf("want at most %d", math.MaxInt32))
		}
	}
	if err := problems.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
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
	has := func(name string) bool { _, ok := have[name]; return ok }
	switch {
	case has("transformer.embed_tokens.weight"):
		return run.LM, headOf(r, have), nil
	case has(aeTable) || has(aeHead):
		return run.AE, "", nil
	case has("model.embed_tokens.weight"):
		return run.AR, "", nil
	}
	return "", "", fmt.Errorf("it is no model that calm knows: architectures are %v, and among its %d tensors is no table of embeddings by a name of the reference's", r.Architectures, len(have))
}
