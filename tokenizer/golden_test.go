package tokenizer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// dirFromEnv returns the directory that an environment variable names, or else the
// fallback. It skips the test if the directory is absent.
func dirFromEnv(t testing.TB, env, fallback string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", fallback)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is absent (set %s)", dir, env)
	}
	return dir
}

// goldenLlama3 loads the tokenizer that the golden ids were made with.
func goldenLlama3(t testing.TB) *Tokenizer {
	t.Helper()
	path := filepath.Join(dirFromEnv(t, "CALM_DATA", "data"), "llama3", "tokenizer.model")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is absent", path)
	}
	tok, err := LoadLlama3(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// jsonLines decodes every line of a file.
func jsonLines[T any](t testing.TB, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("%s is absent", path)
	}
	defer f.Close()
	var all []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var one T
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatalf("%s, line %d: %v", path, len(all)+1, err)
		}
		all = append(all, one)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return all
}

type goldenString struct {
	Text       string
	IDs        []int32
	IDsSpecial []int32 `json:"ids_special"`
}

func TestGoldenTokenizerStrings(t *testing.T) {
	dir := dirFromEnv(t, "CALM_GOLDEN", "golden")
	cases := jsonLines[goldenString](t, filepath.Join(dir, "tokenizer", "strings.jsonl"))
	tok := goldenLlama3(t)
	if got := [4]int32{int32(tok.VocabSize()), tok.BOS(), tok.EOS(), tok.PAD()}; got != [4]int32{128257, 128000, 128001, 128256} {
		t.Errorf("V, BOS, EOS, PAD = %v", got)
	}
	checkStrings(t, tok, cases)
}

// checkStrings compares both ways of encoding with the golden ids.
func checkStrings(t *testing.T, tok *Tokenizer, cases []goldenString) {
	t.Helper()
	with := tok.TakingLiterals()
	for _, c := range cases {
		if got := tok.Encode(c.Text); !slices.Equal(got, c.IDs) {
			t.Errorf("Encode(%q) = %v, want %v", c.Text, got, c.IDs)
		}
		special := c.IDsSpecial
		if special == nil {
			special = c.IDs
		}
		if got := with.Encode(c.Text); !slices.Equal(got, special) {
			t.Errorf("with literals, Encode(%q) = %v, want %v", c.Text, got, special)
		}
		if got, err := tok.Decode(c.IDs); err != nil || got != c.Text {
			t.Errorf("Decode(%v) = %q, %v, want %q", c.IDs, got, err, c.Text)
		}
	}
}

func TestGoldenTokenizerWikitext(t *testing.T) {
	golden := dirFromEnv(t, "CALM_GOLDEN", "golden")
	want := jsonLines[struct {
		Document, Bytes, Count int
		SHA256                 string
	}](t, filepath.Join(golden, "tokenizer", "wikitext.jsonl"))
	docs := wikitext(t)
	tok := goldenLlama3(t)
	var text []byte
	for _, w := range want {
		if w.Document >= len(docs) {
			t.Fatalf("document %d of %d", w.Document, len(docs))
		}
		doc := docs[w.Document]
		ids := tok.AppendEncode(nil, doc)
		if len(doc) != w.Bytes || len(ids) != w.Count || hashIDs(ids) != w.SHA256 {
			t.Errorf("document %d: %d bytes, %d ids, SHA-256 %s; want %d, %d, %s", w.Document, len(doc), len(ids), hashIDs(ids), w.Bytes, w.Count, w.SHA256)
		}
		if text = tok.AppendDecode(text[:0], ids); !bytes.Equal(text, doc) {
			t.Errorf("document %d does not decode to itself", w.Document)
		}
	}
}

// wikitext returns the documents of the WikiText-103 test set.
func wikitext(t testing.TB) [][]byte {
	path := filepath.Join(dirFromEnv(t, "CALM_DATA", "data"), "wikitext_document_level-test.json")
	var docs [][]byte
	for _, d := range jsonLines[struct{ Text string }](t, path) {
		docs = append(docs, []byte(d.Text))
	}
	return docs
}

func hashIDs(ids []int32) string {
	var b []byte
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// The merges of Llama 3 are recovered from tiktoken's ranks. Saved as a Hugging Face
// file and read again, they give the same ids.
func TestGoldenTokenizerSaveLlama3(t *testing.T) {
	tok := goldenLlama3(t)
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := tok.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	sameTokenizer(t, tok, again)
	golden := dirFromEnv(t, "CALM_GOLDEN", "golden")
	checkStrings(t, again, jsonLines[goldenString](t, filepath.Join(golden, "tokenizer", "strings.jsonl")))
	for i, doc := range wikitext(t) {
		if !slices.Equal(tok.AppendEncode(nil, doc), again.AppendEncode(nil, doc)) {
			t.Errorf("document %d differs", i)
		}
	}
}

// sameTokenizer compares the vocabularies of two tokenizers and their files.
func sameTokenizer(t *testing.T, want, got *Tokenizer) {
	t.Helper()
	if got.VocabSize() != want.VocabSize() || got.BOS() != want.BOS() || got.EOS() != want.EOS() || got.PAD() != want.PAD() {
		t.Errorf("V, BOS, EOS, PAD = %d %d %d %d, want %d %d %d %d", got.VocabSize(), got.BOS(), got.EOS(), got.PAD(),
			want.VocabSize(), want.BOS(), want.EOS(), want.PAD())
	}
	for id := range int32(want.VocabSize()) {
		if !bytes.Equal(got.Token(id), want.Token(id)) || got.IsSpecial(id) != want.IsSpecial(id) {
			t.Fatalf("token %d is %q (special %t), want %q (special %t)", id, got.Token(id), got.IsSpecial(id), want.Token(id), want.IsSpecial(id))
		}
	}
	if !bytes.Equal(got.JSON(), want.JSON()) {
		t.Error("saved again, the file differs")
	}
}
