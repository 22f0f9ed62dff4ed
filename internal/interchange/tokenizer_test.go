package interchange

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// TestTokenizers imports with the directory's tokenizer, with another, and with none. A run without one works on ids.
func TestTokenizers(t *testing.T) {
	t.Parallel()
	src := exported(t, run.LM, "")
	dir, r, err := bring(t, src, Options{Tokenizer: NoTokenizer})
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(dir)
	if err != nil || m.Tokenizer != nil || m.Tail[0] != 256 || !strings.Contains(strings.Join(r.Notes, "\n"), "without a tokenizer") {
		t.Errorf("without: %v, tail %v, notes %v", err, m.Tail, r.Notes)
	}
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	if _, err := m.Evaluate(t.Context(), e, run.Evaluation{}); err == nil || !strings.Contains(err.Error(), "without a tokenizer") {
		t.Errorf("reading text without a tokenizer: %v", err)
	}
	if _, _, err := run.Resume(t.Context(), e, dir, run.ResumeOptions{Steps: 5}); err == nil || !strings.Contains(err.Error(), "was imported from") {
		t.Errorf("training on: %v", err)
	}
	if dir, _, err = bring(t, src, Options{Tokenizer: "bytes"}); err != nil {
		t.Fatal(err)
	}
	if m, err = run.Open(dir); err != nil || !slices.Equal(m.Tail, []int{'\n', '\n', '\n', '\n'}) {
		t.Errorf("the tail is %v, want newlines (%v)", m.Tail, err)
	}
	if err := os.WriteFile(filepath.Join(src, "tokenizer.json"), []byte(`{"model": {"type": "Unigram"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, src, Options{}, "Unigram", "--tokenizer none")
	rekey(t, src, func(m map[string]any) { m["vocab_size"] = 200 })
	refused(t, src, Options{Tokenizer: "bytes"}, "do not belong together")
}

// TestLlamaVocabulary: the ids that are assumed for a vocabulary of Llama 3's size are those of its tokenizer.
func TestLlamaVocabulary(t *testing.T) {
	tok, err := tokenizer.LoadLlama3(testkit.Data(t, "llama3/tokenizer.model"))
	if err != nil {
		t.Fatal(err)
	}
	if tok.VocabSize() != llama3Vocab || tok.BOS() != llama3BOS || tok.EOS() != llama3EOS || !slices.Equal(tok.Encode("\n"), []int32{llama3Newline}) {
		t.Errorf("%d tokens, BOS %d, EOS %d, newline %v", tok.VocabSize(), tok.BOS(), tok.EOS(), tok.Encode("\n"))
	}
}

// TestUnnamedRoles: where the tokenizer's names do not tell BOS and EOS, config.json's ids are used. Only [PAD] is added, if there
// is room for it. The run then reads text.
func TestUnnamedRoles(t *testing.T) {
	t.Parallel()
	text := words(t)
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	for _, c := range []struct {
		kind     run.Kind
		vocab    int // of the model
		pad      bool
		tokens   int // of the run's tokenizer
		wantsPAD int32
	}{{run.AR, 264, false, 259, 258}, {run.AR, 259, false, 259, 258}, {run.AR, 258, false, 258, 257}, {run.LM, 259, false, 259, 258}, {run.AE, 259, true, 259, 258}} {
		src := exported(t, c.kind, "")
		if err := os.WriteFile(filepath.Join(src, "tokenizer.json"), unnamed(t, c.pad), 0o666); err != nil {
			t.Fatal(err)
		}
		if c.kind == run.AR {
			resize(t, src, c.vocab)
		}
		dir, r, err := bring(t, src, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if all := strings.Join(r.Notes, "\n"); strings.Contains(all, "token_id is") || strings.Contains(all, "works on ids") {
			t.Errorf("%s of %d: other ids than config.json's: %s", c.kind, c.vocab, all)
		}
		m, err := run.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, want := []int32{m.Tokenizer.BOS(), m.Tokenizer.EOS(), m.Tokenizer.PAD(), int32(m.Tokenizer.VocabSize())}, []int32{256, 257, c.wantsPAD, int32(c.tokens)}
		if !slices.Equal(got, want) || string(m.Tokenizer.Token(256)) != "<begin>" {
			t.Errorf("%s of %d: BOS, EOS, PAD, V = %d, want %d", c.kind, c.vocab, got, want)
		}
		if _, err := m.Evaluate(t.Context(), e, run.Evaluation{Data: []string{text}, Options: eval.Options{MaxBlocks: 1}}); err != nil {
			t.Errorf("%s of %d on text: %v", c.kind, c.vocab, err)
		}
		m.Close()
		out := filepath.Join(t.TempDir(), "again")
		if _, err := Export(t.Context(), dir, out, ""); err != nil {
			t.Fatal(err)
		}
		for name, words := range map[string]string{"tokenizer_config.json": `"bos_token": "<begin>"`, "tokenizer.json": `"SpecialToken": {"id": "<begin>"`} {
			if data, err := os.ReadFile(filepath.Join(out, name)); err != nil || !strings.Contains(string(data), words) {
				t.Errorf("%s of %d: %s has no %s (%v)", c.kind, c.vocab, name, words, err)
			}
		}
	}
}

// TestRolesOfNoToken: if BOS and EOS in config.json are ids without a token, the model keeps them, and the import says that the run
// works on ids only.
func TestRolesOfNoToken(t *testing.T) {
	t.Parallel()
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	src := exported(t, run.AR, "")
	file := regexp.MustCompile(`"post_processor":\{.*\},"pre_tokenizer"`).ReplaceAll(unnamed(t, false), []byte(`"pre_tokenizer"`)) // which tells BOS
	if err := os.WriteFile(filepath.Join(src, "tokenizer.json"), file, 0o666); err != nil {
		t.Fatal(err)
	}
	resize(t, src, 270)
	rekey(t, src, func(keys map[string]any) { keys["bos_token_id"] = 269 })
	dir, r, err := bring(t, src, Options{})
	if err != nil || !strings.Contains(strings.Join(r.Notes, "\n"), "the run works on ids") {
		t.Errorf("BOS is no token: %v, %v", r, err)
	}
	m, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Evaluate(t.Context(), e, run.Evaluation{Data: []string{words(t)}}); err == nil || !strings.Contains(err.Error(), "added_tokens") {
		t.Errorf("reading text without BOS: %v", err)
	}
}

// unnamed returns calm's byte tokenizer with unusual names for BOS and EOS, with or without PAD.
func unnamed(t *testing.T, pad bool) []byte {
	t.Helper()
	var keys map[string]any
	if err := json.Unmarshal(tokenizer.Bytes().JSON(), &keys); err != nil {
		t.Fatal(err)
	}
	added := keys["added_tokens"].([]any)
	added[0].(map[string]any)["content"], added[1].(map[string]any)["content"] = "<begin>", "<end>"
	if !pad {
		keys["added_tokens"] = added[:2]
	}
	data, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// words returns the path of a file with text.
func words(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("round and round\n", 200)), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// resize changes the number of rows of a baseline's tables.
func resize(t *testing.T, src string, vocab int) {
	t.Helper()
	rekey(t, src, func(keys map[string]any) { keys["vocab_size"] = vocab })
	rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
		for _, name := range []string{"model.embed_tokens.weight", "lm_head.weight"} {
			s := all[name]
			data := make([]byte, 4*vocab*s.Shape[1])
			copy(data, bytesOf(t, s))
			s.Shape = []int{vocab, s.Shape[1]}
			s.Each = func(use func([]byte) error) error { return use(data) }
			all[name] = s
		}
	})
}
