package calm_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// tiny trains one run of each kind and returns their directories.
func tiny(t *testing.T) (ae, lm, ar string) {
	t.Helper()
	dir := t.TempDir()
	ae, lm, ar = filepath.Join(dir, "ae"), filepath.Join(dir, "lm"), filepath.Join(dir, "ar")
	for _, o := range []run.Options{
		{Kind: run.AE, Out: ae, Steps: 200, Set: append([]string{"latent_size=8", "learning_rate=0.01"}, tinySizes...)},
		{Kind: run.LM, Out: lm, AE: ae, Steps: 3, Set: append([]string{"noise_size=6", "target_samples=4"}, append(tinySizes, tinyLayers...)...)},
		{Kind: run.AR, Out: ar, Steps: 3, Set: append(append([]string{}, tinySizes...), tinyLayers...)},
	} {
		if err := trainTiny(o); err != nil {
			t.Fatal(err)
		}
	}
	return ae, lm, ar
}

func open(t *testing.T, dir string) *calm.Model {
	t.Helper()
	m, err := calm.Open(dir, calm.Threads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// text returns the text that a generation writes.
func text(m *calm.Model, prompt string, o calm.Options) (string, error) {
	var b strings.Builder
	for piece, err := range m.Generate(context.Background(), prompt, o).Text() {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(piece)
	}
	return b.String(), nil
}

func TestGenerate(t *testing.T) {
	_, lm, ar := tiny(t)
	for _, dir := range []string{lm, ar} {
		m := open(t, dir)
		first, err := text(m, "Call", calm.Options{})
		if err != nil || first == "" {
			t.Fatalf("%s wrote %q, %v", dir, first, err)
		}
		// Calls from several goroutines take turns, and all write the same text.
		var wait sync.WaitGroup
		texts := make([]string, 4)
		for i := range texts {
			wait.Go(func() { texts[i], _ = text(m, "Call", calm.Options{}) })
		}
		wait.Wait()
		for _, other := range texts {
			if other != first {
				t.Errorf("%q and %q", first, other)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		for _, err = range m.Generate(ctx, "Call", calm.Options{}).Text() {
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("with a canceled context: %v", err)
		}
		for range m.Generate(t.Context(), "Call", calm.Options{}).Text() {
			break // the next call must not hang
		}
		var input *calm.InputError
		if _, err := text(m, strings.Repeat("long", 30), calm.Options{ContextFull: calm.StopWhenFull}); !errors.As(err, &input) {
			t.Errorf("a prompt that is too long: %v", err)
		}
		g := m.Generate(t.Context(), "Call", calm.Options{MaxTokens: 5})
		for _, err := range g.Text() {
			if err != nil {
				t.Error(err)
			}
		}
		if r := g.Result(); r.Tokens > 5 || r.PromptTokens != 4 || r.Stop == "" {
			t.Errorf("five tokens: %+v", r)
		}
		rounds := 0
		for piece, err := range g.Text() {
			if rounds++; piece != "" || !errors.Is(err, calm.ErrRead) {
				t.Errorf("read again, the text has %q, %v", piece, err)
			}
		}
		if r := g.Result(); rounds != 1 || r.Tokens == 0 || r.Stop == calm.StopError {
			t.Errorf("read again: %d rounds, %+v", rounds, r)
		}
	}
}

// TestLongText checks that a text goes on beyond the block of 32 tokens that a run was trained on, after a prompt of any
// length, and that without a limit it has as many tokens as the block.
func TestLongText(t *testing.T) {
	_, lm, ar := tiny(t)
	for _, dir := range []string{lm, ar} {
		m := open(t, dir)
		for _, c := range []struct {
			prompt  string
			o       calm.Options
			tokens  int
			dropped bool
			slides  bool
		}{
			{"Call", calm.Options{MaxTokens: 100}, 100, false, true},
			{"Call", calm.Options{}, 32, false, true},
			{strings.Repeat("Call me Ishmael. ", 10), calm.Options{MaxTokens: 1}, 1, true, false},
			{strings.Repeat("Call me Ishmael. ", 10), calm.Options{MaxTokens: 50, Context: 16}, 50, true, true},
		} {
			g := m.Generate(t.Context(), c.prompt, c.o)
			dropped := g.Result().PromptDropped
			for _, err := range g.Text() {
				if err != nil {
					t.Fatal(err)
				}
			}
			r := g.Result()
			if r.Stop == calm.StopEnd {
				t.Fatalf("the text ends after %d tokens: the test needs another seed", r.Tokens)
			}
			if r.Stop != calm.StopMaxTokens || r.Tokens != c.tokens || r.PromptTokens != len(c.prompt) || (r.Slides > 0) != c.slides ||
				(r.PromptDropped > 0) != c.dropped || r.PromptDropped != dropped {
				t.Errorf("%s, a prompt of %d, %+v: %+v", filepath.Base(dir), len(c.prompt), c.o, r)
			}
		}
		stop := m.Generate(t.Context(), "Call", calm.Options{MaxTokens: 100, ContextFull: calm.StopWhenFull})
		for _, err := range stop.Text() {
			if err != nil {
				t.Fatal(err)
			}
		}
		if r := stop.Result(); r.Stop != calm.StopContext || r.Tokens+r.PromptTokens > 32 || r.Slides != 0 {
			t.Errorf("%s, not to slide: %+v", filepath.Base(dir), r)
		}
	}
}

// TestErr checks that what is wrong with prompt or options is known before the loop.
func TestErr(t *testing.T) {
	ae, lm, ar := tiny(t)
	m := open(t, lm)
	if err := m.Generate(t.Context(), "Call", calm.Options{}).Err(); err != nil {
		t.Error(err)
	}
	for _, o := range []calm.Options{{Temperature: 2}, {Context: 3}, {Context: 1 << 20}, {ContextFull: "halt"}, {StopTexts: []string{""}}} {
		if _, input := errors.AsType[*calm.InputError](m.Generate(t.Context(), "Call", o).Err()); !input {
			t.Errorf("%+v is accepted", o)
		}
	}
	for _, o := range []calm.Options{{Sampler: calm.Prefix}, {Draws: 3}} {
		if _, input := errors.AsType[*calm.InputError](open(t, ar).Generate(t.Context(), "Call", o).Err()); !input {
			t.Errorf("the baseline accepts %+v", o)
		}
	}
	if err := open(t, ae).Generate(t.Context(), "Call", calm.Options{}).Err(); !errors.Is(err, calm.ErrKind) {
		t.Errorf("an autoencoder: %v", err)
	}
}

func TestLatents(t *testing.T) {
	ae, lm, ar := tiny(t)
	m := open(t, lm)
	for words, patches := range map[string]int{"Call me ": 2, "Call me I": 3, "x": 1} {
		latents, err := m.Encode(words)
		if err != nil || len(latents) != patches || len(latents[0]) != 8 {
			t.Fatalf("%q has %d latent vectors, %v", words, len(latents), err)
		}
		decoded, err := m.Decode(latents)
		if err != nil {
			t.Error(err)
		}
		prompt := m.Tokenizer().Encode(words)
		ofIDs, err := m.EncodeIDs(prompt)
		if err != nil || fmt.Sprint(ofIDs) != fmt.Sprint(latents) || len(prompt) != len(words) {
			t.Errorf("%q and its ids have different latents: %v, %v, %v", words, latents, ofIDs, err)
		}
		ids, err := m.DecodeIDs(latents)
		if err != nil || len(ids) != 4*patches || string(m.Tokenizer().AppendDecode(nil, ids)) != decoded {
			t.Errorf("%q is decoded to %q and to the ids %v, %v", words, decoded, ids, err)
		}
		same, err := open(t, ae).Encode(words)
		if err != nil || fmt.Sprint(same) != fmt.Sprint(latents) {
			t.Errorf("the autoencoder inside the language model gives other latents: %v, %v; %v", same, latents, err)
		}
	}
	if latents, err := m.Encode(""); len(latents) != 0 || err != nil {
		t.Errorf("no text: %v, %v", latents, err)
	}
	if s, err := m.Decode(nil); s != "" || err != nil {
		t.Errorf("no latents: %q, %v", s, err)
	}
	if _, err := m.Decode([][]float32{make([]float32, 7)}); err == nil || !strings.Contains(err.Error(), "latent_size = 8") {
		t.Errorf("a vector of 7 numbers: %v", err)
	}
	for _, id := range []int32{-1, 1 << 20} {
		_, err := m.EncodeIDs([]int32{id})
		if _, input := errors.AsType[*calm.InputError](err); !input {
			t.Errorf("the id %d: %v", id, err)
		}
	}
	if _, err := open(t, ar).DecodeIDs(nil); !errors.Is(err, calm.ErrKind) {
		t.Errorf("ids of the baseline's latents: %v", err)
	}
	if _, err := open(t, ar).Encode("x"); !errors.Is(err, calm.ErrKind) {
		t.Errorf("latents of the baseline: %v", err)
	}
	if _, err := text(open(t, ae), "x", calm.Options{}); !errors.Is(err, calm.ErrKind) {
		t.Errorf("text of an autoencoder: %v", err)
	}
}

// TestDType checks that bfloat16 and int8 weights change a latent vector, and by less than .1.
func TestDType(t *testing.T) {
	for _, d := range []calm.DType{calm.BFloat16, calm.Int8} {
		t.Run(string(d), func(t *testing.T) { testDType(t, d) })
	}
}

func testDType(t *testing.T, d calm.DType) {
	ae, _, _ := tiny(t)
	half, err := calm.Open(ae, calm.Weights(d), calm.Threads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	want, errFull := open(t, ae).Encode("Call me")
	got, errHalf := half.Encode("Call me")
	if errFull != nil || errHalf != nil {
		t.Fatal(errFull, errHalf)
	}
	changed := false
	for i, z := range want {
		for j, v := range z {
			d := math.Abs(float64(v - got[i][j]))
			changed = changed || d > 0
			if !(d < .1) {
				t.Errorf("vector %d: %v became %v", i, v, got[i][j])
			}
		}
	}
	if !changed {
		t.Error("the format changes nothing")
	}
}

func TestOpenNothing(t *testing.T) {
	if m, err := calm.Open(t.TempDir()); m != nil || err == nil {
		t.Errorf("%v, %v", m, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if m, err := calm.Open(file); m != nil || err == nil {
		t.Errorf("%v, %v", m, err)
	}
}

func TestEvaluate(t *testing.T) {
	_, _, dir := tiny(t)
	r, err := open(t, dir).Evaluate(t.Context(), run.Evaluation{})
	if m, ok := r.Measured.(ar.Measurement); err != nil || r.Kind != run.AR || !ok || m.CrossEntropy <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestLiterals checks how the literals of special tokens are read in texts and prompts: an imported run reads them as these
// tokens, as the reference does. calm's own runs read them as ordinary text (docs/spec.md, section 1).
func TestLiterals(t *testing.T) {
	aeDir, lmDir, arDir := tiny(t)
	const piece = "ab" + tokenizer.LiteralEOS
	data := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(data, []byte(strings.Repeat(piece, 200)), 0o666); err != nil {
		t.Fatal(err)
	}
	measured := func(m *calm.Model) int {
		t.Helper()
		r, err := m.Evaluate(t.Context(), run.Evaluation{Data: []string{data}, Block: 16, Options: eval.Options{Samples: 2}})
		if err != nil {
			t.Fatal(err)
		}
		switch r := r.Measured.(type) {
		case autoencoder.Measurement:
			return r.Blocks
		case lm.Measurement:
			return r.Blocks
		}
		return r.Measured.(ar.Measurement).Blocks
	}
	for _, dir := range []string{aeDir, lmDir, arDir} {
		own := open(t, dir)
		bytes, tokens := 200*len(piece)/16, 200*3/16
		if got := measured(own); got != bytes {
			t.Errorf("%s is measured on %d blocks, want %d", dir, got, bytes)
		}
		config := filepath.Join(dir, "config.json")
		written, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		imported := strings.Replace(string(written), `"imported": ""`, `"imported": "org/name"`, 1)
		if err := os.WriteFile(config, []byte(imported), 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := checkpoint.ResumeRun(dir)
		if err == nil {
			err = errors.Join(r.AcceptFiles(), r.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, dir)
		if got := measured(m); got != tokens {
			t.Errorf("%s, imported, is measured on %d blocks, want %d", dir, got, tokens)
		}
		if dir == aeDir {
			got, err := m.Encode(piece + "c") // one patch of four tokens
			if err != nil || len(got) != 1 {
				t.Errorf("%q has %d latent vectors, %v", piece+"c", len(got), err)
			}
			continue
		}
		var all []int32
		ids := []int32{'a', 'b', tokenizer.Bytes().EOS()}
		for chunk, err := range m.GenerateIDs(t.Context(), ids, calm.Options{}).Chunks() {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, chunk.Tokens...)
		}
		want := string(m.Tokenizer().AppendDecode(nil, all))
		if got, err := text(m, piece, calm.Options{}); got != want || err != nil {
			t.Errorf("%s continues %q with %q, and its ids with %q, %v", dir, piece, got, want, err)
		}
		if n := own.Generate(t.Context(), piece, calm.Options{}).Result().PromptTokens; n != len(piece) {
			t.Errorf("%s, not imported, reads %q as %d tokens", dir, piece, n)
		}
	}
}
