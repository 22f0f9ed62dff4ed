package interchange

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// TestReferenceText: the run of an imported model reads text as the reference does: literals of special tokens are these
// tokens, and tokens of unusual names play the roles that config.json gives them.
func TestReferenceText(t *testing.T) {
	src := exported(t, run.AR, "")
	path := filepath.Join(src, "tokenizer.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for was, is := range map[string]string{tokenizer.LiteralBOS: "<begin>", tokenizer.LiteralEOS: "<end>"} {
		data = bytes.ReplaceAll(data, []byte(was), []byte(is))
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	dir, _, err := bring(t, src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	if tok := m.Tokenizer; tok.BOS() != 256 || tok.EOS() != 257 || m.AR.Config.BOSTokenID != 256 || tok.VocabSize() != tokenizer.Bytes().VocabSize() {
		t.Errorf("BOS %d, EOS %d, %d tokens", tok.BOS(), tok.EOS(), tok.VocabSize())
	}
	if got, want := m.TextTokenizer().Encode("a<end>b"), []int32{'a', 257, 'b'}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if _, err := m.Evaluate(t.Context(), e, run.Evaluation{Options: eval.Options{MaxBlocks: 2}}); err != nil {
		t.Error(err)
	}
}

// TestExportTakesNothing: what is beside the directory, or behind a link in its place, is not the export's.
func TestExportTakesNothing(t *testing.T) {
	dir := tinyRun(t, run.AE)
	home := t.TempDir()
	kept := filepath.Join(home, ".x.tmp", "notes")
	real, link := filepath.Join(home, "real"), filepath.Join(home, "link")
	for _, err := range []error{os.MkdirAll(filepath.Dir(kept), 0o777), os.WriteFile(kept, []byte("precious"), 0o666),
		os.Mkdir(real, 0o777), os.Symlink(real, link), os.Symlink("nowhere", filepath.Join(home, "dangling"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, out := range []string{"x", "link"} {
		if _, err := Export(t.Context(), dir, filepath.Join(home, out), ""); err != nil {
			t.Error(err)
		}
	}
	if data, err := os.ReadFile(kept); err != nil || string(data) != "precious" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(real, "config.json")); err != nil {
		t.Error(err)
	}
	for _, out := range []string{"", filepath.Join(home, "dangling"), kept} {
		if _, err := Export(t.Context(), dir, out, ""); !isUsage(err) {
			t.Errorf("export to %q: %v", out, err)
		}
		if _, err := Import(t.Context(), home, out, Options{}); !isUsage(err) {
			t.Errorf("import into %q: %v", out, err)
		}
	}
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*run.UsageError](err)
	return ok
}

// TestCancelledImport: nothing is left, and nothing says that the source is bad.
func TestCancelledImport(t *testing.T) {
	t.Parallel()
	src, dir := exported(t, run.LM, ""), filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, src, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was left")
	}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Export(ctx, tinyRun(t, run.AR), out, ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(out)); len(entries) > 0 {
		t.Errorf("something was left: %v", entries)
	}
}

// TestImportByName: a name on the hub is looked up in the cache, and the run says that it came from there.
func TestImportByName(t *testing.T) {
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	model := filepath.Join(os.Getenv("HF_HUB_CACHE"), "models--org--name")
	snapshot := filepath.Join(model, "snapshots", strings.Repeat("0a", 20))
	err := errors.Join(os.MkdirAll(filepath.Dir(snapshot), 0o777), os.MkdirAll(filepath.Join(model, "refs"), 0o777),
		os.WriteFile(filepath.Join(model, "refs", "v1"), []byte(filepath.Base(snapshot)), 0o666), os.Rename(exported(t, run.LM, ""), snapshot))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = bring(t, "org/name@v1", Options{AE: "org/name@v1"}); err == nil || !strings.Contains(err.Error(), "its autoencoder") {
		t.Errorf("a language model is no autoencoder: %v", err)
	}
	dir, _, err := bring(t, "org/name@v1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := run.Describe(dir, false); err != nil || m.Imported != "org/name@v1" {
		t.Errorf("imported from %q, %v", m.Imported, err)
	}
}

// TestLlamaVocabulary: the ids that stand for a vocabulary of Llama 3's size are its tokenizer's.
func TestLlamaVocabulary(t *testing.T) {
	tok, err := tokenizer.LoadLlama3(testkit.Data(t, "llama3/tokenizer.model"))
	if err != nil {
		t.Fatal(err)
	}
	if tok.VocabSize() != llama3Vocab || tok.BOS() != llama3BOS || tok.EOS() != llama3EOS || !slices.Equal(tok.Encode("\n"), []int32{llama3Newline}) {
		t.Errorf("%d tokens, BOS %d, EOS %d, newline %v", tok.VocabSize(), tok.BOS(), tok.EOS(), tok.Encode("\n"))
	}
}
