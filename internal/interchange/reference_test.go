package interchange

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// TestReferenceText: the run of an imported model encodes text like the reference. Literals of special tokens become these tokens,
// and tokens with unusual names have the roles that config.json gives them.
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
	if tok := m.Tokenizer; tok.BOS() != 256 || tok.EOS() != 257 || m.Network.Vocabulary().BOS != 256 || tok.VocabSize() != tokenizer.Bytes().VocabSize() {
		t.Errorf("BOS %d, EOS %d, %d tokens", tok.BOS(), tok.EOS(), tok.VocabSize())
	}
	if got, want := m.TextTokenizer().Encode("a<end>b"), []int32{'a', 257, 'b'}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if _, err := m.Evaluate(t.Context(), e, run.Evaluation{Options: eval.Options{MaxBlocks: 2}}); err != nil {
		t.Error(err)
	}
}
