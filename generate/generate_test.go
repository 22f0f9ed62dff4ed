package generate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// script is a model and its source: it writes given tokens, then x without end, and remembers what it reads. It writes one text
// at a time.
type script struct {
	patch  int
	tokens []int32
	err    error // at the end of the tokens
	has    []int32
}

func (s *script) Shape() Shape { return Shape{s.patch, 259, 256, 257, 64} }

func (s *script) NewSource(*cpu.Engine) Source { return s }

func (s *script) Check(Options) error { return nil }

func (s *script) Begin(int, Options) { s.has = nil }

func (s *script) End(int) {}

func (s *script) Save(int) any { panic("one text at a time") }

func (s *script) Restore(int, any) {}

func (s *script) Piece(int) int { return 1 }

func (s *script) Read(slots []int, ids []int32) error {
	if len(slots) != 1 || len(ids) != s.patch {
		return fmt.Errorf("%d ids of %d slots are no patch", len(ids), len(slots))
	}
	s.has = append(s.has, ids...)
	return nil
}

func (s *script) Write(patches []*Patch) {
	p := patches[0]
	p.Done, p.Draws = true, 3
	at := p.Step * s.patch
	if at >= len(s.tokens) && s.err != nil {
		p.Draws, p.Err = 7, s.err
		return
	}
	for i := range p.IDs {
		p.IDs[i] = 'x'
		if at+i < len(s.tokens) {
			p.IDs[i] = s.tokens[at+i]
		}
	}
}

var byteTok = tokenizer.Bytes()

// writing is a generator with options, and the result of its latest text.
type writing struct {
	*Generator
	options Options
	result  Result
}

// generator is a generator that is closed with the test, and before another one of the same test if it is within a property.
func generator(t fataler, m Model, tok *tokenizer.Tokenizer) *Generator {
	g, err := New(nil, m, tok, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Fatal(...any)
	Cleanup(func())
}

func scripted(t testing.TB, s *script, o Options) *writing {
	t.Helper()
	return &writing{Generator: generator(t, s, byteTok), options: o}
}

// begin begins a text.
func (w *writing) begin(prompt string) (*Text, error) {
	ids, err := w.Encode(prompt)
	if err != nil {
		return nil, err
	}
	return w.Text(ids, w.options)
}

// collect writes a text to its end.
func collect(w *writing, prompt string) (text string, ids []int32, chunks []string, err error) {
	x, err := w.begin(prompt)
	if err != nil {
		return "", nil, nil, err
	}
	for c, e := range x.Chunks(context.Background()) {
		if e != nil {
			err = e
			continue
		}
		text += c.Text
		ids = append(ids, c.Tokens...)
		chunks = append(chunks, c.Text)
	}
	w.result = x.Result()
	return text, ids, chunks, err
}

func ids(s string, more ...int32) []int32 { return append(byteTok.Encode(s), more...) }

// Where a text ends, and what counts of its last patch.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		name    string
		tokens  []int32
		max     int
		context int
		want    string
		stop    Stop
		patches int
	}{
		{"EOS within a patch", ids("abcdef", 257, 'z'), 0, 0, "abcdef", StopEnd, 2},
		{"BOS within a patch", ids("abcde", 256, 'y', 'z'), 0, 0, "abcde", StopEnd, 2},
		{"EOS begins a patch", ids("abcd", 257, 'x', 'y', 'z'), 0, 0, "abcd", StopEnd, 2},
		{"EOS at once", []int32{257, 'a', 'b', 'c'}, 0, 0, "", StopEnd, 1},
		{"the first of two", ids("a", 256, 257, 'c'), 0, 0, "a", StopEnd, 1},
		{"max within a patch", ids("abcdefgh"), 6, 0, "abcdef", StopMaxTokens, 2},
		{"max at a patch's end", ids("abcdefgh"), 4, 0, "abcd", StopMaxTokens, 1},
		{"max of one", ids("abcdefgh"), 1, 0, "a", StopMaxTokens, 1},
		{"EOS behind max", ids("abcdef", 257, 'z'), 6, 0, "abcdef", StopMaxTokens, 2},
		{"EOS before max", ids("abcdef", 257, 'z'), 7, 0, "abcdef", StopEnd, 2},
		{"padding is no text", ids("ab", 258, 'c', 257, 258, 258, 258), 0, 0, "abc", StopEnd, 2},
		{"context", ids("abcd"), 0, 16, "abcdxxxxxxxx", StopContext, 3},
		{"a context that is no patches", ids("abcd"), 0, 19, "abcdxxxxxxxx", StopContext, 3},
		{"max at the end of the context", ids("abcd"), 12, 16, "abcdxxxxxxxx", StopMaxTokens, 3},
		{"max beyond the context", ids("abcd"), 13, 16, "abcdxxxxxxxx", StopContext, 3},
		{"EOS in the last patch of the context", ids("abcdefghijk", 257), 0, 16, "abcdefghijk", StopEnd, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{}
			o.MaxTokens, o.Context, o.ContextFull = c.max, c.context, StopWhenFull
			g := scripted(t, &script{patch: 4, tokens: c.tokens}, o)
			for range 2 { // the second is not the first's continuation
				text, tokens, _, err := collect(g, "")
				r := g.result
				if err != nil || text != c.want || r.Stop != c.stop || r.Patches != c.patches || r.Tokens != len(tokens) || r.Draws != 3*c.patches {
					t.Errorf("%q, %+v, %v; want %q, %q in %d patches", text, r, err, c.want, c.stop, c.patches)
				}
				if says := r.Message() != ""; says != (c.stop == StopMaxTokens || c.stop == StopContext) {
					t.Errorf("message %q at %q", r.Message(), r.Stop)
				}
			}
		})
	}
}

// Whatever prompt and tail: the context is whole patches that end with the prompt, BOS stands before it, and the end of
// the tail before that.
func TestAligned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 9).Draw(t, "patch")
		prompt := rapid.StringN(0, 20, 30).Draw(t, "prompt")
		tail := rapid.SliceOfN(rapid.Int32Range(0, 255), 0, 12).Draw(t, "tail")
		o := Options{}
		o.Context, o.Tail, o.MaxTokens = 64*k, tail, 1
		s := &script{patch: k}
		g := generator(t, s, byteTok)
		if _, _, _, err := collect(&writing{Generator: g, options: o}, prompt); err != nil {
			t.Fatal(err)
		}
		want := append([]int32{256}, byteTok.Encode(prompt)...)
		for stood := append(slices.Repeat([]int32{'\n'}, k), tail...); len(want)%k > 0; stood = stood[:len(stood)-1] {
			want = slices.Insert(want, 0, stood[len(stood)-1])
		}
		if diff := cmp.Diff(want, s.has); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What stands before a prompt follows the post-processor of the tokenizer.
func TestAlignedFollowsPostProcessor(t *testing.T) {
	const part = `{"type": "TemplateProcessing", "special_tokens": {"b": {"ids": [256]}, "e": {"ids": [257]}}, "single": [`
	const b, a, e = `{"SpecialToken": {"id": "b"}}`, `{"Sequence": {"id": "A"}}`, `{"SpecialToken": {"id": "e"}}`
	file := regexp.MustCompile(`(?s)"post_processor": \{.*?\n  \}`)
	for _, c := range []struct{ processor, prompt, want string }{
		{"null", "xy", "34xy"}, {"null", "wxyz", "wxyz"}, {"null", "", "1234"},
		{part + a + "," + e + "]}", "xy", "4Exy"}, {part + a + "," + e + "]}", "xyz", "Exyz"}, {part + a + "," + e + "]}", "", "234E"},
		{part + b + "," + a + "," + e + "]}", "xy", "4Bxy"}, {part + b + "," + a + "]}", "", "234B"},
	} {
		tok, err := tokenizer.Parse(file.ReplaceAll(byteTok.JSON(), []byte(`"post_processor": `+c.processor)))
		if err != nil {
			t.Fatal(err)
		}
		s := &script{patch: 4}
		g := generator(t, s, tok)
		o := Options{}
		o.Context, o.Tail, o.MaxTokens = 64, ids("1234"), 1
		if _, _, _, err := collect(&writing{Generator: g, options: o}, c.prompt); err != nil {
			t.Fatal(err)
		}
		var want []int32
		for _, r := range c.want {
			want = append(want, map[rune]int32{'B': 256, 'E': 257}[r])
			if last := len(want) - 1; want[last] == 0 {
				want[last] = r
			}
		}
		if !slices.Equal(s.has, want) {
			t.Errorf("%s, prompt %q: the context is %v, want %v", c.processor, c.prompt, s.has, want)
		}
	}
}

// The patches of a text are read as they were written, except the last.
func TestFeedsBack(t *testing.T) {
	o := Options{}
	o.MaxTokens = 9
	s := &script{patch: 4, tokens: ids("abcdefghijkl")}
	if text, _, chunks, err := collect(scripted(t, s, o), "abc"); err != nil || text != "abcdefghi" || len(chunks) != 3 {
		t.Errorf("%q in chunks %q, %v", text, chunks, err)
	}
	if want := append([]int32{256}, ids("abcabcdefgh")...); !slices.Equal(s.has, want) {
		t.Errorf("read %v, want %v", s.has, want)
	}
}

// A character comes when it is whole; what is left at the end comes as it is.
func TestWholeCharacters(t *testing.T) {
	const euro, face = "\u20ac", "\U0001F600"
	for _, c := range []struct {
		tokens []int32
		max    int
		chunks []string // of patches of two bytes
	}{
		{ids("ab"+euro+"c"+face+"d", 257), 0, []string{"ab", "", euro + "c", "", face, "d"}},
		{ids("ab"+euro, 257), 3, []string{"ab", "\xe2"}},
		{ids("a\xff\xe2\x82z", 257), 0, []string{"a\xff", "", "\xe2\x82z"}},
		{ids("a\xe2", 257), 0, []string{"a", "\xe2"}},
	} {
		o := Options{}
		o.MaxTokens = c.max
		_, _, chunks, err := collect(scripted(t, &script{patch: 2, tokens: c.tokens}, o), "")
		if err != nil || !slices.Equal(chunks, c.chunks) {
			t.Errorf("%q, %v; want %q", chunks, err, c.chunks)
		}
	}
}

// Over budget: the text before it stands, and the error says patch, draws and temperature.
func TestBudget(t *testing.T) {
	s := &script{patch: 4, tokens: ids("abcdefg\xe2"), err: &temperature.BudgetError{T: .25, Draws: 7}}
	g := scripted(t, s, Options{})
	text, _, _, err := collect(g, "")
	budget, ok := errors.AsType[*BudgetError](err)
	if !ok || budget.Patch != 3 || budget.Draws != 7 || budget.T != .25 || text != "abcdefg\xe2" {
		t.Fatalf("%q, %v", text, err)
	}
	for _, part := range []string{"patch 3", "7 draws", "0.25"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if r := g.result; r.Stop != StopError || r.Draws != 3+3+7 || r.Patches != 2 || r.Tokens != 8 {
		t.Errorf("%+v", r)
	}
	if _, is := errors.AsType[*InputError](err); is {
		t.Error("it counts as bad input")
	}
}

// Leaving the loop, or cancelling, ends a text; the next is as if nothing had been.
func TestInterrupt(t *testing.T) {
	o := Options{}
	o.MaxTokens = 12
	g := scripted(t, &script{patch: 4, tokens: ids("abcdefghijkl")}, o)
	left, err := g.begin("")
	if err != nil {
		t.Fatal(err)
	}
	for range left.Chunks(t.Context()) {
		break
	}
	if r := left.Result(); r.Stop != StopInterrupted || r.Tokens != 4 {
		t.Errorf("after leaving: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	n := 0
	cancelled, err := g.begin("")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range cancelled.Chunks(ctx) {
		n++
		cancel()
		last = err
	}
	if r := cancelled.Result(); !errors.Is(last, context.Canceled) || r.Stop != StopInterrupted || n != 2 {
		t.Errorf("after cancelling: %v in %d rounds, %+v", last, n, r)
	}
	if text, _, _, err := collect(g, ""); text != "abcdefghijkl" || err != nil {
		t.Errorf("afterwards: %q, %v", text, err)
	}
}

// A context that may not slide takes a prompt that leaves room for one patch.
func TestPromptLength(t *testing.T) {
	o := Options{Context: 16, ContextFull: StopWhenFull}
	g := scripted(t, &script{patch: 4}, o)
	for n := range 20 {
		text, _, _, err := collect(g, strings.Repeat("p", n))
		_, input := errors.AsType[*InputError](err)
		if fits := n <= 11; fits != (err == nil) || fits == input {
			t.Errorf("a prompt of %d: %v", n, err)
		} else if fits && (text == "" || g.result.Stop != StopContext || g.result.PromptTokens != n) {
			t.Errorf("a prompt of %d gives %q, %+v", n, text, g.result)
		} else if !fits && !strings.Contains(err.Error(), "it can have 11") {
			t.Errorf("%v does not say 11", err)
		}
	}
}

// TestBadOptions: what no model can do; what a model cannot do is its own to say.
func TestBadOptions(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(o *Options)
	}{
		{"sampler", `"greedy"`, func(o *Options) { o.Sampler = "greedy" }},
		{"samplers", `"prefix", "batch" or "exact"`, func(o *Options) { o.Sampler = "Prefix" }},
		{"max", "-1", func(o *Options) { o.MaxTokens = -1 }},
		{"draws", "-1", func(o *Options) { o.Draws = -1 }},
		{"too many draws", "1000001", func(o *Options) { o.Draws = MaxDraws + 1 }},
		{"context", "two patches", func(o *Options) { o.Context = 7 }},
		{"context beyond the model's", "at most the model's 256", func(o *Options) { o.Context = 257 }},
		{"negative context", "-4", func(o *Options) { o.Context = -4 }},
		{"context full", `"slide" or "stop"`, func(o *Options) { o.ContextFull = "halt" }},
		{"empty stop text", "not empty", func(o *Options) { o.StopTexts = []string{"a", ""} }},
		{"stop text of bytes", "UTF-8", func(o *Options) { o.StopTexts = []string{"\xe2"} }},
		{"tail", "token 259", func(o *Options) { o.Tail = []int32{1, 259} }},
	} {
		var o Options
		c.change(&o)
		err := scripted(t, &script{patch: 4}, o).Check(nil, o)
		if _, ok := errors.AsType[*InputError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// TestStopTextsOfIDs: ids have no stop texts.
func TestStopTextsOfIDs(t *testing.T) {
	err := generator(t, &script{patch: 4}, nil).Check(nil, Options{StopTexts: []string{"a"}})
	if _, ok := errors.AsType[*InputError](err); !ok || !strings.Contains(err.Error(), "no tokenizer") {
		t.Errorf("%v", err)
	}
}

// TestLimit: the zero value is temperature 1; the temperature 0 has a name.
func TestLimit(t *testing.T) {
	for T, want := range map[float64]float64{0: 1, 1: 1, Greedy: 0, .3: .3, -1: -1} {
		if got := (Options{Temperature: T}).Limit(); got != want {
			t.Errorf("%v stands for temperature %v", T, got)
		}
	}
}
