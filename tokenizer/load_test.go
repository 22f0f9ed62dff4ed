package tokenizer

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gpt2File has the older form of GPT-2's file: no model type, merges as strings, and
// the special token in the vocabulary too. Its merges are "on" and "on"+"e".
var gpt2File = func() string {
	vocab := map[string]int{"on": 256, "one": 257, "<|endoftext|>": 258}
	for b := range 256 {
		vocab[string(runeOfByte[b])] = b
	}
	v, err := json.Marshal(vocab)
	if err != nil {
		panic(err)
	}
	return `{"version": "1.0", "truncation": null, "padding": null,
		"added_tokens": [{"id": 258, "special": true, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true}],
		"normalizer": null,
		"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
		"post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
		"decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
		"model": {"dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
			"vocab": ` + string(v) + `, "merges": ["o n", "on e"]}}`
}()

func TestParseGPT2(t *testing.T) {
	tok, err := Parse([]byte(gpt2File))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"one on":             {257, ' ', 256},
		"only 1234":          {256, 'l', 'y', ' ', '1', '2', '3', '4'},
		"one<|endoftext|>on": append([]int32{257}, append(tok.Encode("<|endoftext|>"), 256)...),
	} {
		if got := tok.Encode(text); !cmp.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
	if got, want := tok.TakingLiterals().Encode("one<|endoftext|>on"), []int32{257, 258, 256}; !cmp.Equal(got, want) {
		t.Errorf("with literals: %v, want %v", got, want)
	}
	pairs := strings.Replace(gpt2File, `["o n", "on e"]`, `[["o", "n"], ["on", "e"]]`, 1)
	again, err := Parse([]byte(pairs))
	if err != nil {
		t.Fatal(err)
	}
	sameTokenizer(t, tok, again)
}

// replaced returns gpt2File with old replaced by new. old must occur in it.
func replaced(t *testing.T, old, new string) string {
	t.Helper()
	if !strings.Contains(gpt2File, old) {
		t.Fatalf("the file has no %s", old)
	}
	return strings.Replace(gpt2File, old, new, 1)
}

func TestParseErrors(t *testing.T) {
	pre := `{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}`
	llama := func(pattern, behavior, invert string) string {
		return `{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": ` + quote(pattern) + `}, "behavior": ` + behavior +
			`, "invert": ` + invert + `}, {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}`
	}
	if _, err := Parse([]byte(replaced(t, pre, llama(patterns[splitQwen2][0], `"Isolated"`, "false")))); err != nil {
		t.Fatalf("the valid form of the cases below: %v", err)
	}
	for _, c := range []struct{ old, new, want string }{
		{gpt2File, "", "not a Hugging Face tokenizer.json"},
		{gpt2File, "[]", "not a Hugging Face tokenizer.json"},
		{gpt2File, "{}", "model.vocab is missing or empty"},
		{gpt2File, gpt2File + "x", "not a Hugging Face tokenizer.json"},
		{`"model": {`, `"model": {"type": "WordPiece", `, `model type "WordPiece" is not supported`},
		{gpt2File, `{"model": {"type": "Unigram", "vocab": [["a", 0.5]]}}`, `model type "Unigram" is not supported`},
		{`"dropout": null`, `"dropout": 0.1`, "model.dropout 0.1"},
		{`"end_of_word_suffix": ""`, `"end_of_word_suffix": "</w>"`, `end_of_word_suffix "</w>"`},
		{pre, `{"type": "Metaspace", "replacement": "_"}`, `replacement "_"`},
		{pre, `{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}`, `prepend_scheme "last"`},
		{pre, `{"type": "Metaspace", "replacement": "▁"}`, `without ByteLevel is not supported, except for SentencePiece's vocabularies`},
		{`"normalizer": null`, `"normalizer": {"type": "Replace", "pattern": {"Regex": "a"}, "content": "b"}`, `normalizer Replace`},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "Other"`, `post_processor "Other"`},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "BertProcessing"`, `cls and sep`},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "BertProcessing", "cls": ["a", 7000], "sep": ["b", 3]`, `id 7000 has no token`},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "TemplateProcessing", "single": []`, `has it 0 times, not once`},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]`, `no id of "x"`},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "TemplateProcessing", "special_tokens": {"x": {"ids": [1, 2]}}, "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]`, `puts 2 tokens before a text`},
		{`"normalizer": null`, `"normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip"}, {"type": "NFC"}]}`, `normalizer "Strip", "NFC"`},
		{`"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "Metaspace"`, `decoder "Metaspace"`},
		{pre, "null", "pre_tokenizer [] without ByteLevel is not supported"},
		{pre, `{"type": "Whitespace"}`, `pre_tokenizer ["Whitespace"]`},
		{pre, `{"type": "Sequence", "pretokenizers": [null, {"type": "Digits"}]}`, `pre_tokenizer ["Digits"]`},
		{`"added_tokens": [`, `"added_tokens": [` + strings.Repeat("{},", maxAdded), "added_tokens has 524294 commas: no tokenizer is that large"},
		{`"merges": [`, `"merges": [` + strings.Repeat("0,", maxListed), "model.merges has 2097153 commas: no tokenizer is that large"},
		{`"on":256`, `"on":256` + strings.Repeat(`,"":0`, maxListed), "model.vocab has 2097411 commas: no tokenizer is that large"},
		{pre, `{"type": "Sequence", "pretokenizers": [` + strings.Repeat("{},", maxStages/3) + `{}]}`, "more than any tokenizer"},
		{pre, `{"type": "Sequence", "pretokenizers": [` + strings.Repeat(`{"type": "Digits"},`, 100) + `{}]}`, `"Digits", and 93 more]`},
		{pre, llama(`\d+`, `"Isolated"`, "false"), `the pattern "\\d+" is not supported`},
		{pre, llama(patterns[splitLlama3][0], `"Removed"`, "false"), `behavior "Removed"`},
		{pre, llama(patterns[splitLlama3][0], `"Isolated"`, "true"), "invert true"},
		{`[{"id": 258`, `[{"id": 257`, `added token "<|endoftext|>" has id 257, and in model.vocab 258`},
		{`"added_tokens": [`, `"added_tokens": [{"id": 300, "content": "xy"}, `, `added token "xy" has id 300, but Hugging Face's tokenizers library ignores this and gives it 259`},
		{`"added_tokens": [`, `"added_tokens": [{"id": 256, "content": "on", "special": true}, {"id": 259, "content": "[PAD]"}, {"id": 257, "content": "one"}, {"id": 261, "content": "xy"}, `, `gives it 260`},
		{`"added_tokens": [{"id": 258, "special": true, "content": "<|endoftext|>"`, `"added_tokens": [{"id": 257, "special": true, "content": "one"}, {"id": 258, "special": true, "content": "<|endoftext|>"`, ""},
		{`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "BertProcessing", "cls": ["one", 257], "sep": ["<|endoftext|>", 258]`, `token "one" is made by merging ordinary text`},
		{`"content": "<|endoftext|>"`, `"content": ""`, "added token 258 is empty"},
		{`"added_tokens": [`, `"added_tokens": [{"id": 258, "content": "x"}, `, `added tokens "x" and "<|endoftext|>" have the same id 258`},
		{`"added_tokens": [`, `"added_tokens": [{"id": 300, "content": "<|endoftext|>"}, `, `added token "<|endoftext|>" is listed twice`},
		{`"added_tokens": [`, `"added_tokens": [{"id": 65, "content": "x"}, `, `have the same id 65`},
		{`"added_tokens": [`, `"added_tokens": [{"id": 2000000000, "content": "x"}, `, `id 2000000000, out of proportion`},
		{`"added_tokens": [`, `"added_tokens": [{"id": -1, "content": "x"}, `, `id -1, out of proportion`},
		{`"on":256`, `"on":99999999`, `token "on" has id 99999999`},
		{`"on":256`, `"on":-5`, `token "on" has id -5`},
		{`"on":256`, `"on":1.5`, `"on" is 1.5, not an integer`},
		{`"on":256`, `"on":"x"`, `"on" is x, not an integer`},
		{`"on":256`, `"on":[1]`, "not an integer"},
		{`"on":256`, `"on":257`, "have the same id 257"},
		{`"on":256`, `"on":256,"on":259`, `token "on" is empty or listed twice`},
		{`"on":256`, `"on":256,"":259`, `token "" is empty`},
		{`"on":256`, `"on":256,"▁the":259`, "is not in the byte-level alphabet"},
		{`"A":65,`, ``, "no token for the single byte 0x41"},
		{`"o n"`, `"o  n"`, "does not have two parts"},
		{`"o n"`, `7`, "a merge in model.merges"},
		{`"o n"`, `null`, "does not have two parts"},
		{`"o n"`, `"o x"`, `merge 0, "o" and "x"`},
		{`"o n"`, `"o n", "o n"`, `merge 1, "o" and "n", is listed twice`},
	} {
		_, err := Parse([]byte(replaced(t, c.old, c.new)))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", clip([]byte(c.new)), err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error %v, want %q", clip([]byte(c.new)), clip([]byte(c.old)), err, c.want)
		} else if !strings.HasPrefix(err.Error(), "tokenizer: ") {
			t.Errorf("the error %q does not begin with the package's name", err)
		}
	}
}

// A hostile file uses memory in proportion to its size.
func TestParseDeep(t *testing.T) {
	deep := strings.Repeat(`{"type":"Sequence","pretokenizers":[`, 5_000)
	for _, file := range []string{`{"pre_tokenizer": ` + deep, strings.Repeat("[", 100_000)} {
		if _, err := Parse([]byte(file)); err == nil {
			t.Error("no error")
		}
	}
}

func TestSaveLoad(t *testing.T) {
	gpt2, err := Parse([]byte(gpt2File))
	if err != nil {
		t.Fatal(err)
	}
	odd := trainOn(t, 400, prose(10_000)).spec.clone()
	odd.added = append(odd.added, addedToken{content: "a \"quoted\"\n<\u2028>\\ literal", id: 405}) // ids 400 to 404 have no token
	gaps, err := build(odd)
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"bytes": Bytes(), "trained": small(), "llama3": tinyLlama3(t), "gpt2": gpt2, "gaps": gaps} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokenizer.json")
			if err := tok.Save(path); err != nil {
				t.Fatal(err)
			}
			again, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			sameTokenizer(t, tok, again)
			text := prose(5_000)
			if got, want := again.AppendEncode(nil, text), tok.AppendEncode(nil, text); !cmp.Equal(got, want) {
				t.Error("other ids after loading")
			}
			if !bytes.Equal(again.JSON(), tok.JSON()) {
				t.Error("another fingerprint after loading")
			}
			if !json.Valid(tok.JSON()) {
				t.Error("not valid JSON")
			}
		})
	}
	if got := gaps.TakingLiterals().Encode("x" + odd.added[3].content); !cmp.Equal(got, []int32{'x', 405}) {
		t.Errorf("the odd literal has ids %v", got)
	}
	if got := string(gaps.AppendDecode(nil, []int32{405, 403})); got != odd.added[3].content+"\ufffd" {
		t.Errorf("the odd literal and an id without token decode to %q", got)
	}
	if _, err := gaps.Decode([]int32{403}); err == nil {
		t.Error("an id without token decodes")
	}
}

// Save replaces a file in one step. It leaves no other file, even when it fails.
func TestSaveAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	for range 2 {
		if err := Bytes().Save(path); err != nil {
			t.Fatal(err)
		}
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Bytes().Save(taken); err == nil {
		t.Error("saved over a directory")
	}
	if err := Bytes().Save(filepath.Join(dir, "none", "tokenizer.json")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("into no directory: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !cmp.Equal(names, []string{"taken", "tokenizer.json"}) {
		t.Errorf("the directory has %v", names)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, Bytes().JSON()) {
		t.Errorf("the file is not what was saved (%v)", err)
	}
}

var makeFiles = flag.Bool("make", false, "write the tokenizers of testdata that calm makes")

// The ids are from Hugging Face's library, for files that calm wrote and for files
// that the library trained and wrote: see testdata/make.py.
func TestHuggingFace(t *testing.T) {
	if *makeFiles {
		for name, tok := range map[string]*Tokenizer{"bytes": Bytes(), "trained": small(), "ranks": tinyLlama3(t)} {
			if err := tok.Save(filepath.Join("testdata", name+".tokenizer.json")); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.tokenizer.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".tokenizer.json")
		t.Run(name, func(t *testing.T) {
			tok, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			tok = tok.TakingLiterals()
			cases := jsonLines[struct {
				Text string
				IDs  []int32
			}](t, filepath.Join("testdata", name+".jsonl"))
			if len(cases) < 200 {
				t.Errorf("only %d cases", len(cases))
			}
			for _, c := range cases {
				if got := tok.Encode(c.Text); !slices.Equal(got, c.IDs) {
					t.Errorf("Encode(%q) = %v, want %v", c.Text, got, c.IDs)
				}
			}
		})
	}
}

func ExampleTokenizer_Encode() {
	tok := Bytes()
	ids := tok.Encode("Call me")
	text, err := tok.Decode(append(ids, tok.EOS()))
	fmt.Println(ids, text, err)
	// Output: [67 97 108 108 32 109 101] Call me <nil>
}
