package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/calm-go/calm/tokenizer"
)

var energyLoss = regexp.MustCompile(`energy loss .*`)

// TestInterchange checks that an exported and imported model measures and writes as before, on text and on ids.
func TestInterchange(t *testing.T) {
	r, dir := tinyRuns(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	// JSON lines in a file named .json, as the published test set.
	line, err := json.Marshal(map[string]string{"text": strings.Repeat("the whale swam round and round a ship of oak\n", 20)})
	if err != nil {
		t.Fatal(err)
	}
	text := file(t, "test.json", string(line)+"\n"+string(line)+"\n")
	prepared := at("prepared")
	must(t, "data", "prepare", "--out", prepared, "--data", text, "--tokenizer", "bytes")
	for kind, from := range map[string]string{"ae": r.ae, "lm": r.lm, "ar": r.ar} {
		out, back, ids := at(kind+"-exported"), at(kind+"-back"), at(kind+"-ids")
		must(t, "export", from, out)
		if got := must(t, "import", out, back); !strings.Contains(got.out, "kind "+kind) || !strings.Contains(got.out, "in float32") {
			t.Error(got)
		}
		must(t, "import", out, ids, "--tokenizer", "none")
		eval := func(run, data string) string {
			got := must(t, "eval", run, "--data", data, "--block", "128", "--blocks", "5", "--seed", "3").out
			if !strings.Contains(got, "5 blocks of 128") {
				t.Errorf("the size and number of blocks are not named in:\n%s", got)
			}
			// The energy loss may differ: it depends on the number of target samples, for which the reference has no key.
			return energyLoss.ReplaceAllString(got[strings.Index(got, "\n"):], "")
		}
		want := eval(from, text)
		for name, got := range map[string]string{"imported": eval(back, text), "prepared": eval(back, prepared), "ids only": eval(ids, prepared)} {
			if got != want {
				t.Errorf("%s, %s: %s\nwant%s", kind, name, got, want)
			}
		}
		if got := calmRun("eval", ids, "--data", text); got.status != exitUsage || !strings.Contains(got.errOut, "without a tokenizer") {
			t.Error(got)
		}
		if got := must(t, "eval", back, "--blocks", "1", "--block", "128"); !strings.Contains(got.out, "all of the embedded book") {
			t.Error(got)
		}
		if got := must(t, "info", ids); !strings.Contains(got.out, "no tokenizer") || !strings.Contains(got.out, `"imported": "`+out) {
			t.Error(got)
		}
		if got := calmRun("train", "--resume", back, "--steps", "1000"); got.status != exitUsage || !strings.Contains(got.errOut, "imported from") {
			t.Error(got)
		}
		if kind != "ae" {
			writeAgain(t, from, back, ids)
		}
	}
}

// TestTrainOverImported trains a language model on an imported autoencoder with bfloat16 weights and unusual names of special
// tokens. The language model is not imported: literals of special tokens in its text are ordinary text.
func TestTrainOverImported(t *testing.T) {
	dir, text := t.TempDir(), tinyText(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, trainTiny("ae", at("ae"), text, "--steps", "2")...)
	must(t, "export", at("ae"), at("exported"), "--dtype", "bfloat16")
	data, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	text = file(t, "literals.txt", string(data)+strings.Repeat("<end>", 50)+string(data))
	names := filepath.Join(at("exported"), "tokenizer.json")
	if data, err = os.ReadFile(names); err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte(tokenizer.LiteralEOS), []byte("<end>")), []byte(tokenizer.LiteralBOS), []byte("<begin>"))
	if err := os.WriteFile(names, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := must(t, "import", at("exported"), at("back")); !strings.Contains(got.out, "in bfloat16") {
		t.Error(got)
	}
	must(t, trainTiny("lm", at("lm"), text, "--ae", at("back"), "--steps", "2")...)
	must(t, "train", "--resume", at("lm"), "--steps", "3")
	must(t, "generate", at("lm"), "--max-tokens", "4")
	must(t, "import", at("exported"), at("ids"), "--tokenizer", "none")
	if got := calmRun(trainTiny("lm", at("x"), text, "--ae", at("ids"))...); got.status != exitUsage || !strings.Contains(got.errOut, "without a tokenizer") {
		t.Error(got)
	}
}

// writeAgain checks that an imported model writes the same text as the original. The prompt and BOS fill a patch, so nothing is
// put before it.
func writeAgain(t *testing.T, from, back, ids string) {
	t.Helper()
	const prompt, more = "the", "12"
	text := must(t, "generate", from, "--prompt", prompt, "--max-tokens", more, "--seed", "5").out
	if got := must(t, "generate", back, "--prompt", prompt, "--max-tokens", more, "--seed", "5").out; got != text {
		t.Errorf("it wrote %q, the original %q", got, text)
	}
	want := must(t, "generate", from, "--ids", "116,104,101", "--max-tokens", more, "--seed", "5").out
	if got := must(t, "generate", ids, "--ids", "116,104,101", "--max-tokens", more, "--seed", "5").out; got != want {
		t.Errorf("it wrote %q, the original %q", got, want)
	}
	list := strings.Split(strings.TrimSpace(want), ",")
	var said []byte
	for _, s := range list {
		id, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		if id < 256 {
			said = append(said, byte(id))
		}
	}
	if len(list) < 4 || strings.TrimSpace(string(said)) != strings.TrimSpace(text) {
		t.Errorf("the ids %s say %q, the text is %q", want, said, text)
	}
	for _, bad := range [][]string{{"--ids", "116,999"}, {"--ids", "1", "--prompt", "a"}, {"--ids", "x"}, {"--ids", ""}, {"--ids", "1,"}, {"--ids", "1e1"}} {
		got := calmRun(append([]string{"generate", from}, bad...)...)
		if got.status != exitUsage || got.out != "" || strings.Contains(got.errOut, "strconv") {
			t.Errorf("%v: %v", bad, got)
		}
	}
	if got := calmRun("generate", ids, "--prompt", "a"); got.status != exitUsage || !strings.Contains(got.errOut, "--ids") {
		t.Error(got)
	}
}

// TestBadInterchange checks that every mistake gives a clear error and status 2, and that nothing is written.
func TestBadInterchange(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_HOME", filepath.Join(work, "hub"))
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"no such file", []string{"import", "gone", "x"}},
		{"has no config.json", []string{"import", taken, "x"}},
		{"takes a directory", []string{"import", taken}},
		{"not a run", []string{"export", taken, "x"}},
		{"is in the way", []string{"export", "gone", taken}},
		{"--dtype", []string{"export", "gone", "x", "--dtype", "int8"}},
		{"an argument is empty", []string{"export", "gone", ""}},
		{"an argument is empty", []string{"import", "gone", ""}},
		{"is in the way", []string{"import", "gone", taken}},
	} {
		got := calmRun(c.args...)
		if got.status != exitUsage || !strings.Contains(got.errOut, c.want) || got.out != "" {
			t.Errorf("calm %v: want status 2 and %q: %v", c.args, c.want, got)
		}
		if _, err := os.Stat("x"); err == nil {
			t.Fatalf("calm %v made a directory", c.args)
		}
	}
	if got := calmRun("import", "org/name@main", "x"); got.status != exitFailed || !strings.Contains(got.errOut, "no directory org/name@main") || !strings.Contains(got.errOut, "Download it by hand") {
		t.Errorf("offline: %v", got)
	}
}
