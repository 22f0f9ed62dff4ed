package interchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// Export writes the run in dir as a directory that the reference loads with from_pretrained: config.json, weights, and the
// tokenizer's files. The weights of a language model contain its autoencoder. The autoencoder is also written to a directory in
// out, which ae_path names. format is float32, bfloat16 or float16, or "" to keep each tensor's format. out must be missing or
// empty, and appears only when it is complete. User errors are *run.UsageError.
func Export(ctx context.Context, dir, out, format string) (*Report, error) {
	var to checkpoint.DType
	for d, name := range formats {
		if name == format {
			to = d
		}
	}
	if to == "" && format != "" {
		return nil, &run.UsageError{Err: fmt.Errorf("--dtype %q: want float32, bfloat16 or float16", format)}
	}
	out, err := place(out)
	if err != nil {
		return nil, &run.UsageError{Err: fmt.Errorf("export: %w", err)}
	}
	m, err := run.Describe(dir, false)
	if err != nil {
		return nil, err
	}
	opened, err := checkpoint.OpenRun(dir)
	if err != nil {
		return nil, err
	}
	f, err := opened.Weights()
	if err != nil {
		return nil, err
	}
	e := exporter{model: m}
	if err = exportable(m); err == nil {
		err = e.collect(ctx, f, to)
	}
	if err == nil {
		err = e.write(out)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("export %s: %w", dir, err)
	}
	return &e.report, nil
}

// exportable returns an error for models that the reference does not have.
func exportable(m *run.Model) error {
	l, ok := m.Network.(*lm.Model)
	switch {
	case !ok:
		return nil
	case l.Config.Input != lm.Tokens:
		return &run.UsageError{Err: fmt.Errorf("its transformer reads %s (key input), the reference's only tokens", l.Config.Input)}
	case l.HeadKind.Reference.Class == "":
		return &run.UsageError{Err: fmt.Errorf("its %s head cannot be exported because %s", l.HeadKind.Name, l.HeadKind.Reference.None)}
	}
	return nil
}

// exporter holds a run that is being exported.
type exporter struct {
	model   *run.Model
	streams []checkpoint.Stream // the parameters, with calm's names
	head    headKeys            // of a language model
	report  Report
}

// collect finds the parameters in the run's weights.
func (e *exporter) collect(ctx context.Context, f *checkpoint.File, to checkpoint.DType) error {
	have := map[string]source{}
	for _, name := range f.Names() {
		s, err := f.Stream(name)
		if err != nil {
			return err
		}
		have[name] = source{Stream: s}
	}
	found, notes, err := account(ctx, e.model.Params.All(), have)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	for i, s := range found {
		if to != "" {
			s = s.As(to)
		}
		found[i] = cancelled(ctx, s)
	}
	e.streams = found
	all, _ := e.model.Params.Count()
	e.report = Report{Kind: e.model.Kind, Parameters: all, Formats: countFormats(found), Notes: notes}
	switch m := e.model.Network.(type) {
	case *autoencoder.Model:
		e.report.Model = "Autoencoder"
	case *ar.Model:
		e.report.Model = "LlamaForCausalLM"
	case *lm.Model:
		e.report.Model = m.HeadKind.Reference.Class
		e.head, err = headKeysOf(m.Config.Options)
	}
	return err
}

// write writes to a hidden directory, which is locked meanwhile, and then renames it to out.
func (e *exporter) write(out string) (err error) {
	disk := new(atomicfile.Disk)
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return err
	}
	if err := removeUnfinished(disk, out); err != nil {
		e.report.Notes = append(e.report.Notes, fmt.Sprintf("files of an interrupted export cannot be removed: %v", err))
	}
	temp, lock, err := lockedDir(disk, out)
	if err != nil {
		return err
	}
	unlock := sync.OnceValue(lock.Close)
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock(), disk.RemoveAll(temp))
		}
	}()
	if m, ok := e.model.Network.(*lm.Model); ok {
		ae := filepath.Join(temp, checkpoint.AutoencoderIn)
		if err := disk.Mkdir(ae); err != nil {
			return err
		}
		if err := e.directory(ae, e.autoencoderConfig(m.Autoencoder.Config), e.under(lm.AEPrefix)); err != nil {
			return err
		}
		e.report.Notes = append(e.report.Notes, fmt.Sprintf(
			"ae_path in config.json is %s, relative to the export: the reference looks for it in the directory Python runs in, so run it in %s or load with from_pretrained(.., ae_path=%q)",
			aePath, out, filepath.Join(out, checkpoint.AutoencoderIn)))
	}
	if err := e.directory(temp, e.config(), e.streams); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // a directory with an open file cannot be renamed there
		if err := errors.Join(unlock(), disk.RemoveAll(filepath.Join(temp, filelock.Name))); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(out); err == nil && info.IsDir() {
		if err := os.Remove(out); err != nil { // it was empty
			return fmt.Errorf("%s %w by now: %w", out, checkpoint.ErrExists, err)
		}
	}
	if err := disk.Rename(temp, out); err != nil {
		return err
	}
	return errors.Join(disk.RemoveAll(filepath.Join(out, filelock.Name)), unlock(), disk.SyncDir(filepath.Dir(out)))
}

// lockedDir makes a hidden directory next to out, and locks it.
func lockedDir(disk *atomicfile.Disk, out string) (temp string, lock io.Closer, err error) {
	for range 10 {
		temp = atomicfile.TempName(out)
		if err = disk.Mkdir(temp); err != nil {
			return "", nil, err
		}
		lock, err = filelock.Acquire(filepath.Join(temp, filelock.Name))
		if !errors.Is(err, fs.ErrNotExist) { // else another export took it, still empty, for that of a killed one
			break
		}
	}
	if err != nil {
		err = errors.Join(err, disk.RemoveAll(temp))
	}
	return temp, lock, err
}

// removeUnfinished removes the directories of killed exports to out: hidden directories next to it with a lock that no process
// has, or empty.
func removeUnfinished(disk *atomicfile.Disk, out string) error {
	temps, err := atomicfile.Temps(out)
	errs := []error{err}
	for _, temp := range temps {
		if info, err := os.Lstat(temp); err != nil || !info.IsDir() {
			continue
		}
		if _, err := os.Lstat(filepath.Join(temp, filelock.Name)); err != nil {
			_ = os.Remove(temp) // only if it is empty: killed before it was locked
			continue
		}
		lock, err := filelock.Acquire(filepath.Join(temp, filelock.Name))
		if errors.Is(err, filelock.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		// It is renamed first. If another process is about to rename it to out, one of the two renames fails.
		gone := atomicfile.TempName(out)
		if err = errors.Join(lock.Close(), disk.Rename(temp, gone)); err == nil {
			err = disk.RemoveAll(gone)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// under returns the tensors whose names begin with prefix, with the prefix removed.
func (e *exporter) under(prefix string) (out []checkpoint.Stream) {
	for _, s := range e.streams {
		var ok bool
		if s.Name, ok = strings.CutPrefix(s.Name, prefix); ok {
			out = append(out, s)
		}
	}
	return out
}

// directory writes one model in the reference's form.
func (e *exporter) directory(dir string, config map[string]any, streams []checkpoint.Stream) error {
	var all []checkpoint.Stream
	for _, s := range streams {
		for _, name := range names(s.Name) {
			s.Name = name
			all = append(all, s)
		}
	}
	err := atomicfile.Write(filepath.Join(dir, safetensorsFile), func(w io.Writer) error { return checkpoint.EncodeStreams(w, all, nil) })
	if err != nil {
		return err
	}
	if tok := e.model.Tokenizer; tok != nil {
		for name, content := range tokenizerFiles(tok) {
			if err := writeJSON(filepath.Join(dir, name), content); err != nil {
				return err
			}
		}
		if err := tok.Save(filepath.Join(dir, checkpoint.TokenizerFile)); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(dir, checkpoint.ConfigFile), config)
}

// writeJSON writes an object as transformers does: with sorted keys, indented by two spaces.
func writeJSON(path string, v any) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	})
}

// tokenizerFiles returns the other files that transformers needs for tokenizer.json, by name.
func tokenizerFiles(tok *tokenizer.Tokenizer) map[string]any {
	special := map[string]any{}
	for role, id := range map[string]int32{"bos_token": tok.BOS(), "eos_token": tok.EOS(), "pad_token": tok.PAD()} {
		if id >= 0 {
			special[role] = string(tok.Token(id))
		}
	}
	all := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
		"model_input_names": []string{"input_ids", "attention_mask"}} // without it, transformers adds token_type_ids, which no model here takes
	for role, literal := range special {
		all[role] = literal
	}
	return map[string]any{"tokenizer_config.json": all, "special_tokens_map.json": special}
}

// float is a number that Python reads as a float, even if it is whole.
type float float64

// MarshalJSON writes the shortest text that reads back as the same number.
func (f float) MarshalJSON() ([]byte, error) {
	s := strconv.FormatFloat(float64(f), 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return []byte(s), nil
}

// dtype returns torch_dtype: the format of most numbers.
func (e *exporter) dtype() string {
	best := ""
	for name, n := range e.report.Formats {
		if best == "" || n > e.report.Formats[best] || n == e.report.Formats[best] && name > best {
			best = name
		}
	}
	return best
}

// aePath is the path from an exported language model to its autoencoder, so that both can be moved together. The reference reads it
// relative to Python's working directory. The dot keeps it from being taken for the name of a model on the hub.
const aePath = "./" + checkpoint.AutoencoderIn

// config is the config.json of the run's model.
func (e *exporter) config() map[string]any {
	switch m := e.model.Network.(type) {
	case *autoencoder.Model:
		return e.autoencoderConfig(m.Config)
	case *ar.Model:
		c := m.Config
		out := e.backboneConfig(c.Config)
		out["model_type"] = "llama"
		out["vocab_size"], out["bos_token_id"], out["eos_token_id"] = c.VocabSize, c.BOSTokenID, c.EOSTokenID
		return out
	}
	c := e.model.Network.(*lm.Model).Config
	out := e.backboneConfig(c.Config)
	out["model_type"] = c.ModelType // the reference's evaluation takes the class of the head from it, and energy without it
	out["vocab_size"], out["bos_token_id"], out["eos_token_id"], out["pad_token_id"] = c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.PadTokenID
	out["ae_path"] = aePath
	out["patch_size"], out["latent_size"] = c.PatchSize, c.LatentSize
	out["num_samples"] = c.NumSamples
	out["num_mlp_layers"], out["noise_size"], out["beta"] = e.head.NumMLPLayers, e.head.NoiseSize, float(e.head.Beta)
	return out
}

// shared returns the keys that all models have.
func (e *exporter) shared(class string) map[string]any {
	return map[string]any{
		"architectures": []string{class}, "torch_dtype": e.dtype(), "transformers_version": "4.43.0",
		"hidden_act": "silu", "pretraining_tp": 1, "tie_word_embeddings": false,
	}
}

func (e *exporter) backboneConfig(c backbone.Config) map[string]any {
	out := e.shared(e.report.Model)
	for key, v := range map[string]any{
		"hidden_size": c.HiddenSize, "intermediate_size": c.IntermediateSize, "num_hidden_layers": c.NumHiddenLayers,
		"num_attention_heads": c.NumAttentionHeads, "num_key_value_heads": c.NumKeyValueHeads,
		"max_position_embeddings": c.MaxPositionEmbeddings, "rms_norm_eps": float(c.RMSNormEps),
		"rope_theta": float(c.RopeTheta), "rope_scaling": nil, "initializer_range": float(c.InitializerRange),
		"attention_bias": false, "attention_dropout": float(0), "mlp_bias": false, "use_cache": true,
	} {
		out[key] = v
	}
	return out
}

func (e *exporter) autoencoderConfig(c autoencoder.Config) map[string]any {
	out := e.shared("Autoencoder")
	for key, v := range map[string]any{
		"patch_size": c.PatchSize, "latent_size": c.LatentSize, "hidden_size": c.HiddenSize, "intermediate_size": c.IntermediateSize,
		"num_encoder_layers": c.NumEncoderLayers, "num_decoder_layers": c.NumDecoderLayers, "vocab_size": c.VocabSize,
		"ae_dropout": float(c.AEDropout), "kl_clamp": float(c.KLClamp), "kl_weight": float(c.KLWeight),
		"rms_norm_eps": float(c.RMSNormEps), "initializer_range": float(c.InitializerRange), "mlp_bias": c.MLPBias,
		"max_position_embeddings": 2048, // without effect; the reference's class has it
		"bos_token_id":            c.BOSTokenID, "eos_token_id": c.EOSTokenID, "pad_token_id": c.PadTokenID,
	} {
		out[key] = v
	}
	return out
}
