package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// objects parses one JSON object a line.
func objects(t *testing.T, text string) (all []writtenText) {
	t.Helper()
	for line := range strings.Lines(text) {
		var w writtenText
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&w); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		checkDocumented(t, generateSection, object(t, line))
		all = append(all, w)
	}
	return all
}

// TestTextsJSON checks that the objects of --json say what the text output shows, one for each of -n texts.
func TestTextsJSON(t *testing.T) {
	r := tinyRuns(t)
	for _, dir := range []string{r.lm, r.ar} {
		args := []string{"generate", dir, "--prompt", "the <whale>", "--seed", "5", "--max-tokens", "40"}
		got := must(t, append(args, "-n", "3", "--json")...)
		texts := objects(t, got.out)
		if len(texts) != 3 || got.errOut != "" {
			t.Fatalf("%v", got)
		}
		for i, w := range texts {
			alone := must(t, append(args, "--seed", fmt.Sprint(5+i))...)
			if alone.out != "the <whale>"+*w.Text+"\n" && !strings.Contains(*w.Text, "\ufffd") {
				t.Errorf("seed %d: the object has %q, the text is %q", w.Seed, *w.Text, alone.out)
			}
			if w.Seed != uint64(5+i) || *w.Prompt != "the <whale>" || w.PromptTokens != 11 || w.Tokens != len(w.IDs) || w.Stop == "" || w.Seconds <= 0 || w.Draws < w.Patches || w.Context != 32 {
				t.Errorf("%+v", w)
			}
			if w.Tokens == 40 && w.Slides == 0 {
				t.Errorf("40 tokens fit into the context: %+v", w)
			}
		}
		if *texts[0].Text == *texts[1].Text {
			t.Errorf("two seeds write %q", *texts[0].Text)
		}
		if silent := objects(t, must(t, append(args, "--json", "--echo=false")...).out); silent[0].Prompt != nil || !slices.Equal(silent[0].IDs, texts[0].IDs) {
			t.Errorf("without echo: %+v", silent[0])
		}
		byIDs := objects(t, must(t, "generate", dir, "--ids", "116,104,101", "--json", "--max-tokens", "4").out)[0]
		if !slices.Equal(byIDs.PromptIDs, []int32{116, 104, 101}) || byIDs.Prompt != nil || byIDs.Text == nil || len(byIDs.IDs) == 0 {
			t.Errorf("%+v", byIDs)
		}
	}
}

// TestTextsInOne checks -n, --echo and --prompt-file.
func TestTextsInOne(t *testing.T) {
	r := tinyRuns(t)
	args := []string{"generate", r.lm, "--prompt", "the whale", "--max-tokens", "8"}
	first, second := must(t, append(args, "--seed", "5")...).out, must(t, append(args, "--seed", "6")...).out
	if got, want := must(t, append(args, "--seed", "5", "-n", "2")...).out, "== text 1 of 2, seed 5 ==\n"+first+"== text 2 of 2, seed 6 ==\n"+second; got != want {
		t.Errorf("two texts are\n%s, want\n%s", got, want)
	}
	if got, want := must(t, append(args, "--seed", "5", "--echo=false")...).out, strings.TrimPrefix(first, "the whale"); got != want {
		t.Errorf("without echo %q, want %q", got, want)
	}
	ids := must(t, "generate", r.lm, "--ids", "116,104,101", "--max-tokens", "4").out
	if got := must(t, "generate", r.lm, "--ids", "116,104,101", "--max-tokens", "4", "--echo=false").out; "116,104,101,"+got != ids {
		t.Errorf("ids without echo %q, with it %q", got, ids)
	}
	path := file(t, "prompt.txt", "the whale\n")
	if got, want := must(t, "generate", r.lm, "--prompt-file", path, "--max-tokens", "8"), must(t, "generate", r.lm, "--prompt", "the whale\n", "--max-tokens", "8"); got != want {
		t.Errorf("from a file %v, want %v", got, want)
	}
}

// TestLongTexts checks texts and prompts beyond the context of 32 tokens.
func TestLongTexts(t *testing.T) {
	r := tinyRuns(t)
	long := strings.Repeat("the whale ", 50)
	for _, dir := range []string{r.lm, r.ar} {
		args := []string{"generate", dir, "--prompt", long, "--max-tokens", "100", "--json"}
		got := must(t, args...)
		w := objects(t, got.out)[0]
		if w.Stop == "end of text" {
			t.Fatalf("the text ends after %d tokens: the test needs another seed", w.Tokens)
		}
		if w.Tokens != 100 || w.Slides < 4 || w.PromptTokens != 500 || w.PromptDropped < 500-31 || *w.Prompt != long {
			t.Errorf("%+v", w)
		}
		if want := fmt.Sprintf("calm: note: the prompt has 500 tokens, of which the last %d are read: the context has 32\n", 500-w.PromptDropped); got.errOut != want {
			t.Errorf("%q, want %q", got.errOut, want)
		}
		// The beginning that is dropped changes nothing.
		other := objects(t, must(t, "generate", dir, "--prompt", "a sheep"+long, "--max-tokens", "100", "--json").out)[0]
		threads := objects(t, must(t, append(args, "--threads", "1")...).out)[0]
		if !slices.Equal(other.IDs, w.IDs) || !slices.Equal(threads.IDs, w.IDs) {
			t.Errorf("%v, with another beginning %v, on one thread %v", w.IDs, other.IDs, threads.IDs)
		}
		small := objects(t, must(t, append(args, "--context", "16")...).out)[0]
		if small.Context != 16 || small.Slides <= w.Slides || small.PromptDropped <= w.PromptDropped {
			t.Errorf("a context of 16: %+v", small)
		}
		unasked := must(t, "generate", dir, "--prompt", "the")
		if want := "calm: the text ends here because its length is limited to 32 tokens; --max-tokens changes that\n"; unasked.errOut != want {
			t.Errorf("%q, want %q", unasked.errOut, want)
		}
		full := must(t, "generate", dir, "--prompt", "the", "--max-tokens", "100", "--context-full", "stop")
		if want := "calm: the text ends here because prompt and text fill the context of 32 tokens\n"; full.errOut != want {
			t.Errorf("%q, want %q", full.errOut, want)
		}
	}
}

// TestStopTexts checks that --stop ends a text before its first place, and keeps what it has before that.
func TestStopTexts(t *testing.T) {
	r := tinyRuns(t)
	whole := objects(t, must(t, "generate", r.lm, "--prompt", "the whale", "--max-tokens", "60", "--json").out)[0]
	text := *whole.Text
	if len(text) < 20 || strings.Contains(text, "\ufffd") {
		t.Fatalf("%q is no text to stop: the test needs another seed", text)
	}
	for _, stop := range []string{text[:1], text[5:8], text[3:20]} {
		want := text[:strings.Index(text, stop)]
		w := objects(t, must(t, "generate", r.lm, "--prompt", "the whale", "--max-tokens", "60", "--json", "--stop", "not in it", "--stop", stop).out)[0]
		if *w.Text != want || w.Stop != "stop text" || w.Tokens != len(want) || len(w.IDs) != len(want) {
			t.Errorf("stop at %q: %+v with %q, want %q", stop, w, *w.Text, want)
		}
		if got := must(t, "generate", r.lm, "--prompt", "the whale", "--max-tokens", "60", "--stop", stop); got.out != "the whale"+want+"\n" || got.errOut != "" {
			t.Errorf("stop at %q: %v", stop, got)
		}
	}
	if got := must(t, "generate", r.lm, "--ids", "116,104", "--max-tokens", "60", "--stop", "\n\n\n\n\n"); !strings.HasPrefix(got.out, "116,104,") {
		t.Errorf("%v", got)
	}
}

// TestTextsWithError checks that a text in which the sampler accepts no patch is an object too, does not end the others, and
// is an error.
func TestTextsWithError(t *testing.T) {
	r := tinyRuns(t)
	args := []string{"generate", r.lm, "--prompt", "the whale", "--temperature", "0.1", "--sampler", "exact", "--draws", "12", "--max-tokens", "100", "--json"}
	got := calmRun(append(args, "-n", "3")...)
	texts := objects(t, got.out)
	if len(texts) != 3 || texts[2].Stop != "error" || got.status != exitFailed || !strings.Contains(got.errOut, "calm: text 3: patch ") ||
		!strings.HasSuffix(got.errOut, "of 3 texts ended early\n") {
		t.Errorf("%v", got)
	}
	if got := calmRun(append(args, "--seed", "2")...); got.status != exitFailed || !strings.HasPrefix(got.errOut, "calm: patch ") || strings.Count(got.errOut, "\n") != 1 {
		t.Errorf("%v", got)
	}
}

// TestPromptFileIsWhole checks that the bytes of a prompt are not changed.
func TestPromptFileIsWhole(t *testing.T) {
	r := tinyRuns(t)
	path := file(t, "bytes.txt", "a\r\n\x00\xff \n\n")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := must(t, "generate", r.lm, "--prompt-file", path, "--max-tokens", "1")
	if !strings.HasPrefix(got.out, string(data)) {
		t.Errorf("%q is continued as %q", data, got.out)
	}
	if w := objects(t, must(t, "generate", r.lm, "--prompt-file", path, "--max-tokens", "1", "--json").out)[0]; w.PromptTokens != len(data) {
		t.Errorf("%d tokens of %d bytes", w.PromptTokens, len(data))
	}
}

// TestPromptFile checks that a file's byte order mark is no part of the prompt, that a prompt has a largest size, and that
// waiting for a file ends with the context.
func TestPromptFile(t *testing.T) {
	r := tinyRuns(t)
	path := filepath.Join(t.TempDir(), "prompt")
	if err := os.WriteFile(path, []byte("\ufeffthe whale"), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"generate", r.lm, "--max-tokens", "4", "--json"}
	marked := objects(t, must(t, append(args, "--prompt-file", path)...).out)[0]
	plain := objects(t, must(t, append(args, "--prompt", "the whale")...).out)[0]
	if *marked.Prompt != "the whale" || !slices.Equal(marked.IDs, plain.IDs) {
		t.Errorf("%+v, without a mark %+v", marked, plain)
	}
	if err := os.Truncate(path, maxInput+1); err != nil {
		t.Fatal(err)
	}
	if got := calmRun(append(args, "--prompt-file", path)...); got.status != 2 || !strings.Contains(got.errOut, "has more than 64 MiB") {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cmd := &cobra.Command{}
	cmd.SetContext(ctx)
	waiting, writer := io.Pipe()
	defer writer.Close()
	if _, err := readWhole(cmd, "a pipe", waiting); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
