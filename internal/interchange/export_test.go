package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// TestFormats exports runs in each number format and imports them again. The numbers are rounded only once, and everything else
// is unchanged.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.AE, run.LM, run.AR} {
		dir := tinyRun(t, kind)
		before, err := checkpoint.Open(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer before.Close()
		for format, d := range map[string]checkpoint.DType{"": checkpoint.F32, "float32": checkpoint.F32, "bfloat16": checkpoint.BF16, "float16": checkpoint.F16} {
			out := filepath.Join(t.TempDir(), "exported")
			r, err := Export(t.Context(), dir, out, format)
			if err != nil {
				t.Fatal(err)
			}
			back, again, err := bring(t, out, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if again.Parameters != r.Parameters || !maps.Equal(again.Formats, r.Formats) || again.Model != r.Model || len(r.Formats) != 1 {
				t.Errorf("%s as %q: exported %+v, imported %+v", kind, format, r, again)
			}
			after, err := checkpoint.Open(filepath.Join(back, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before.Names(), after.Names()) {
				t.Errorf("%s as %q: %v became %v", kind, format, before.Names(), after.Names())
			}
			for _, name := range before.Names() {
				b, _ := before.Stream(name)
				a, err := after.Stream(name)
				if err != nil || a.DType != d || !bytes.Equal(bytesOf(t, a), bytesOf(t, b.As(d))) {
					t.Errorf("%s as %q: %s is %s, or other numbers (%v)", kind, format, name, a.DType, err)
				}
			}
			after.Close()
			m, err := run.Open(back)
			if err != nil || m.Kind != kind || m.Tokenizer == nil || !bytes.Equal(m.Tokenizer.JSON(), tokenizer.Bytes().JSON()) {
				t.Errorf("%s as %q: %v", kind, format, err)
			}
		}
	}
}

// TestHeads exports and imports language models with every head. The head is recognised by the class, and without it by the
// tensors.
func TestHeads(t *testing.T) {
	t.Parallel()
	for _, name := range []string{head.EnergyType, head.DiffusionType, head.FlowType} {
		dir, out := tinyWith(t, run.LM, func(c *lm.Config) { *c = testkit.Set(*c, "model_type="+name) }), filepath.Join(t.TempDir(), "exported")
		if _, err := Export(t.Context(), dir, out, ""); err != nil {
			t.Fatal(err)
		}
		checkKeys(t, filepath.Join(out, "config.json"), map[string]any{"model_type": name, "architectures": []any{classOf(name)}})
		for _, change := range []func(map[string]any){drop(), drop("model_type"), drop("architectures")} {
			rekey(t, out, change)
			back, r, err := bring(t, out, Options{})
			if err != nil || r.Model != classOf(name) {
				t.Errorf("%s came back as %+v, %v", name, r, err)
				continue
			}
			want, werr := os.ReadFile(filepath.Join(dir, "model.safetensors"))
			got, gerr := os.ReadFile(filepath.Join(back, "model.safetensors"))
			if werr != nil || gerr != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: other weights (%v, %v)", name, werr, gerr)
			}
		}
	}
	if _, err := Export(t.Context(), tinyWith(t, run.LM, func(c *lm.Config) { c.TokenLossWeight = 1 }), filepath.Join(t.TempDir(), "y"), ""); err != nil {
		t.Errorf("a model that was trained with the token loss: %v", err)
	}
	_, err := Export(t.Context(), tinyWith(t, run.LM, func(c *lm.Config) { c.Input = lm.Both }), filepath.Join(t.TempDir(), "x"), "")
	if _, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(err.Error(), "key input") {
		t.Errorf("a model that reads latents: %v", err)
	}
}

// checkKeys compares keys of a JSON file.
func checkKeys(t *testing.T, path string, want map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	var got map[string]any
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range want {
		if !reflect.DeepEqual(got[key], v) {
			t.Errorf("%s: %s is %v, want %v", path, key, got[key], v)
		}
	}
}

// TestExportedTokenizer: transformers is told which inputs the model takes, in every directory of an export.
func TestExportedTokenizer(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.AE, run.LM, run.AR} {
		out := exported(t, kind, "")
		files, err := filepath.Glob(filepath.Join(out, "tokenizer_config.json"))
		inside, ierr := filepath.Glob(filepath.Join(out, "*", "tokenizer_config.json"))
		if err != nil || ierr != nil || len(files) != 1 || (len(inside) == 1) != (kind == run.LM) {
			t.Errorf("%s: %v, %v (%v, %v)", kind, files, inside, err, ierr)
		}
		for _, path := range append(files, inside...) {
			checkKeys(t, path, map[string]any{"model_input_names": []any{"input_ids", "attention_mask"}, "tokenizer_class": "PreTrainedTokenizerFast"})
		}
	}
}

// TestExportedNames: the export has every tensor under each of the reference's names, and the autoencoder in a separate directory.
func TestExportedNames(t *testing.T) {
	t.Parallel()
	out := exported(t, run.LM, "")
	for path, twins := range map[string][][2]string{
		"model.safetensors": {{"ae_model.encoder.embed_tokens.weight", "ae_model.decoder.lm_head_weight"},
			{"mlp_generator.noise_embd.weight", "generative_head.noise_embd.weight"}},
		"autoencoder/model.safetensors": {{"encoder.embed_tokens.weight", "decoder.lm_head_weight"}},
	} {
		f, err := checkpoint.Open(filepath.Join(out, path))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, pair := range twins {
			a, aerr := f.Stream(pair[0])
			b, berr := f.Stream(pair[1])
			if aerr != nil || berr != nil || !bytes.Equal(bytesOf(t, a), bytesOf(t, b)) {
				t.Errorf("%s: %v are not the same tensor: %v, %v", path, pair, aerr, berr)
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"EnergyTransformer"`, `"model_type": "energy"`, `"ae_path": "./autoencoder"`, `"torch_dtype": "float32"`, `"beta": 1.0`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("config.json has no %s:\n%s", want, data)
		}
	}
	_, r, err := bring(t, filepath.Join(out, "autoencoder"), Options{})
	if err != nil || r.Kind != run.AE {
		t.Errorf("the autoencoder alone: %+v, %v", r, err)
	}
	if _, err := Export(t.Context(), tinyRun(t, run.AE), out, ""); err == nil || !errors.Is(err, checkpoint.ErrExists) {
		t.Errorf("an export over another: %v", err)
	}
	if _, err := Export(t.Context(), tinyRun(t, run.AE), filepath.Join(t.TempDir(), "x"), "int8"); err == nil {
		t.Error("an export as int8")
	}
}

// TestMovedExport: no file of an export contains the path where it was made. After a move, ae_path still leads to the autoencoder,
// also when its weights are not inside the model.
func TestMovedExport(t *testing.T) {
	t.Parallel()
	out := exported(t, run.LM, "")
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(out, moved); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(moved, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(filepath.Dir(out))) {
			t.Errorf("%s names %s", path, filepath.Dir(out))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := readReference(moved)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(moved, *ref.AEPath, safetensorsFile)); filepath.IsAbs(*ref.AEPath) || err != nil {
		t.Errorf("ae_path %s: %v", *ref.AEPath, err)
	}
	rewrite(t, filepath.Join(moved, safetensorsFile), func(all map[string]checkpoint.Stream) {
		maps.DeleteFunc(all, func(name string, _ checkpoint.Stream) bool { return strings.HasPrefix(name, lm.AEPrefix) })
	})
	if _, r, err := bring(t, moved, Options{}); err != nil || !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, filepath.Join(moved, "autoencoder")) }) {
		t.Errorf("imported again: %+v, %v", r, err)
	}
}

// TestWhereExportsGo: existing files are not overwritten, and links are followed.
func TestWhereExportsGo(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	from := tinyRun(t, run.AE)
	if err := errors.Join(os.MkdirAll(".foo.tmp", 0o777), os.WriteFile(".foo.tmp/notes", []byte("precious"), 0o666), os.Mkdir("empty", 0o777),
		os.Mkdir("here", 0o777), os.Symlink("empty", "to-empty"), os.Symlink("gone", "to-nothing"), os.Symlink(".foo.tmp", "to-full")); err != nil {
		t.Fatal(err)
	}
	mustBe := func(out, at string) {
		t.Helper()
		if _, err := Export(t.Context(), from, out, ""); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(at, "config.json")); err != nil || info.Size() == 0 {
			t.Errorf("%s is not where it should be: %v", out, err)
		}
	}
	mustBe("foo", "foo")
	mustBe("to-empty", "empty")
	want, werr := os.Stat("here")
	got, gerr := os.Stat("foo")
	if werr != nil || gerr != nil || got.Mode() != want.Mode() {
		t.Errorf("an export has mode %v, a new directory %v (%v, %v)", got.Mode(), want.Mode(), gerr, werr)
	}
	refuse := func(out, want string) {
		t.Helper()
		_, err := Export(t.Context(), from, out, "")
		if _, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("export to %q: %v; want a UsageError with %q", out, err, want)
		}
	}
	refuse("", "has no name")
	refuse("to-nothing", "leads nowhere")
	refuse("to-full", "is in the way")
	refuse(".foo.tmp/notes", "is in the way")
	t.Chdir("here")
	refuse("", "has no name")
	refuse(".", "where you are")
	t.Chdir(dir)
	if data, err := os.ReadFile(".foo.tmp/notes"); err != nil || string(data) != "precious" {
		t.Errorf("the notes are %q, %v", data, err)
	}
	if to, err := os.Readlink("to-empty"); err != nil || to != "empty" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if left, _ := filepath.Glob(".*tmp"); !slices.Equal(left, []string{".foo.tmp"}) {
		t.Errorf("hidden: %v", left)
	}
}

// TestExportsAtOnce: of many concurrent exports to the same directory one succeeds, and the others fail and leave nothing.
func TestExportsAtOnce(t *testing.T) {
	t.Parallel()
	from, dir := tinyRun(t, run.AE), t.TempDir()
	out, done := filepath.Join(dir, "out"), make(chan error)
	for range 4 {
		go func() {
			_, err := Export(t.Context(), from, out, "")
			done <- err
		}()
	}
	good := 0
	for range 4 {
		if err := <-done; err == nil {
			good++
		}
	}
	entries, err := os.ReadDir(dir)
	if good != 1 || err != nil || len(entries) != 1 {
		t.Errorf("%d went well; there are %v, %v", good, entries, err)
	}
	if _, _, err := bring(t, out, Options{}); err != nil {
		t.Error(err)
	}
}

// TestKilledExport: the next export to the same directory removes the files of a killed one. It removes neither the files that
// another process is writing nor other files with similar names.
func TestKilledExport(t *testing.T) {
	t.Parallel()
	from, dir := tinyRun(t, run.AE), t.TempDir()
	lock := func(name string) io.Closer {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		held, err := filelock.Acquire(filepath.Join(dir, name, filelock.Name))
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	if err := errors.Join(lock(".out.killed.tmp").Close(), os.WriteFile(filepath.Join(dir, ".out.killed.tmp", "config.json"), nil, 0o666),
		lock(".out.2.other.tmp").Close(), os.MkdirAll(filepath.Join(dir, ".out.notes.tmp", "mine"), 0o777), os.Mkdir(filepath.Join(dir, ".out.early.tmp"), 0o777)); err != nil {
		t.Fatal(err)
	}
	living := lock(".out.living.tmp")
	defer living.Close()
	r, err := Export(t.Context(), from, filepath.Join(dir, "out"), "")
	if err != nil || len(r.Notes) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".out.2.other.tmp", ".out.living.tmp", ".out.notes.tmp", "out"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, %v; want %v", names, err, want)
	}
	if _, err := os.Lstat(filepath.Join(dir, "out", filelock.Name)); err == nil {
		t.Error("the lock is in the export")
	}
}
