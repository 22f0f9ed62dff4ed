package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// members generates values of JSON, with objects among them.
func members() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(x float64) any { return x }),
		rapid.Just[any](nil), rapid.Just[any](true),
		rapid.Just[any](map[string]any{"text": "inner", "}": []any{"]", 1, map[string]any{}}}),
		rapid.Just[any](map[string]any{"meta": map[string]any{"text": "deep"}, "text": nil}),
		rapid.Just[any]([]any{}),
	)
}

// The reader finds the same field as encoding/json, in any object.
func TestObjectReader(t *testing.T) {
	readers := map[string]*objectReader{}
	for _, f := range []field{"text", "meta.text", "meta.meta.text"} {
		readers[string(f)] = newObjectReader(f) // each reads many objects
	}
	name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"text", "meta", "Text", "te\"xt", "meta.text"}))
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOf(name, members()).Draw(t, "object")
		var line []byte
		if rapid.Bool().Draw(t, "indent") {
			line, _ = json.MarshalIndent(object, " ", "\t")
		} else {
			line, _ = json.Marshal(object)
		}
		var back any
		if json.Unmarshal(line, &back) != nil {
			t.Skip("not an object of JSON")
		}
		for f, o := range readers {
			want, there := back, true
			for _, name := range o.path {
				if m, ok := want.(map[string]any); ok {
					want, there = m[name], there && m[name] != nil || hasKey(m, name)
				} else if want != nil {
					want, there = nil, false
				}
			}
			got, err := o.text(line)
			switch want := want.(type) {
			case string:
				if err != nil || string(got) != want {
					t.Fatalf("%s of %s is %q, %v; want %q", f, line, got, err, want)
				}
			case nil:
				if there != (err == nil) || got != nil {
					t.Fatalf("%s of %s is %q, %v; there: %v", f, line, got, err, there)
				}
			default:
				if err == nil {
					t.Fatalf("%s of %s is %q", f, line, got)
				}
			}
		}
	})
}

func hasKey(m map[string]any, name string) bool {
	_, ok := m[name]
	return ok
}

// Strings are decoded as by encoding/json, with all kinds of escapes, unpaired surrogates and invalid UTF-8.
func TestObjectReaderStrings(t *testing.T) {
	part := rapid.OneOf(
		rapid.StringMatching(`[a-zé鯨🐋 ]{0,5}`),
		rapid.SampledFrom([]string{`\n`, `\"`, `\\`, `\/`, `\b\f\r\t`, `\u0041`, `\u00e9`, `\uD83D\uDE00`, `\ud83d`, `\ude00`, `\ud83d\n`, `\ud83d\u0041`, `\uFFFD`, `\u0000`, "\x80", "\xed\xa0\x80", "\xf0\x9f"}),
	)
	o := newObjectReader(DefaultField)
	rapid.Check(t, func(t *rapid.T) {
		quoted := `"` + strings.Join(rapid.SliceOf(part).Draw(t, "parts"), "") + `"`
		var want string
		if err := json.Unmarshal([]byte(quoted), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := o.text([]byte(`{"text":` + quoted + `}`)); err != nil || string(got) != want {
			t.Fatalf("%s is %q, %v; want %q", quoted, got, err, want)
		}
	})
}

// Of two members with the same name, at any depth, only the last counts.
func TestObjectReaderTwice(t *testing.T) {
	for line, want := range map[string]string{
		`{"text":"a","te\u0078t":"b"}`:                               "b",
		`{"text":1,"text":"b"}`:                                      "b",
		`{"meta":{"text":"a"},"meta":{"text":"b"}}`:                  "b",
		`{"meta":[],"meta":{"text":"a","text":"b"}}`:                 "b",
		`{"meta":{"text":"a"},"m\u0065ta":{"text":"b","x":[{}, 1]}}`: "b",
	} {
		f := field("text")
		if strings.Contains(line, "meta") {
			f = "meta.text"
		}
		if got, err := newObjectReader(f).text([]byte(line)); err != nil || string(got) != want {
			t.Errorf("%s of %s is %q, %v", f, line, got, err)
		}
	}
	_, err := newObjectReader("meta.text").text([]byte(`{"meta":{"text":"a"},"meta":{}}`))
	wantError(t, err, `no field "meta.text"`)
}

// An error says where a line stops being JSON, what was expected, or which fields the object has.
func TestObjectReaderErrors(t *testing.T) {
	many := `{"a0":{}`
	for i := range 30 {
		many += `,"` + strings.Repeat("n", i+1) + `":0`
	}
	for _, c := range []struct {
		field field
		line  string
		want  []string
	}{
		{"text", `{"text" "x"}`, []string{"column 9: not JSON", "one object per line"}},
		{"text", `{"text":"x`, []string{"column 11: not JSON: the line ends"}},
		{"text", `{"text":"x",}`, []string{"column 12: not JSON"}},
		{"text", `{"text":"x"} {}`, []string{"column 14: not JSON: text after the object"}},
		{"text", `{"text":"x"},`, []string{"column 13: not JSON: text after the object"}},
		{"text", `{"text":"x", "n": 01}`, []string{"column 20: not JSON"}},
		{"text", `{"text":"x", "n": [1 2]}`, []string{"column 22: not JSON"}},
		{"text", `{1: 2}`, []string{"column 2: not JSON"}},
		{"text", "{\"text\":\"\t\"}", []string{"column 10: not JSON"}},
		{"text", `[1, 2`, []string{"column 6: not JSON"}},
		{"text", `12`, []string{`a number; expected an object with a field "text"`}},
		{"text", `null`, []string{"null; expected an object"}},
		{"text", `{"text":{"x":1}}`, []string{`the field "text" is an object`}},
		{"text", `{}`, []string{`no field "text"; it has none`}},
		{"text", `{"content":"x","meta":{"text":"y","more":{"é\"":[{"deep":1}]}},"content":2,"none":{}}`,
			[]string{`it has "content", "meta.text", "meta.more.é\""`, "--field NAME"}},
		{"content", many + "}", []string{`no field "content"`, `"nnn"`, "and more"}},
		{"meta.text", `{"meta":"x"}`, []string{`the field "meta" is a string; expected an object with a field "text"`}},
		{"meta.text", `{"meta.text":"x"}`, []string{`no field "meta.text"`}},
		{"meta.text", `{"meta":{"title":"x"}}`, []string{`no field "meta.text"; it has "meta.title"`}},
	} {
		_, err := newObjectReader(c.field).text([]byte(c.line))
		wantError(t, err, c.want...)
		if err != nil && len(err.Error()) > 600 {
			t.Errorf("%d bytes of error: %v", len(err.Error()), err)
		}
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add([]byte(`{"text":"x"}`+"\n"+`{"a":[1,{"text":"\"}"}],"te\u0078t" : "\ud83d\ude00\\"}`), "text")
	f.Add([]byte("{\"text\":null}\n\n[]"), "text")
	f.Add([]byte(`{"meta":{"text":"x"},"meta":{"a/b~":"y"}}`), "meta.text")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		lines := bytes.Split(b, []byte("\n"))
		readLines(context.Background(), bytes.NewReader(b), "fuzz", field(name), func(d Document) error {
			if d.Line < 1 {
				t.Errorf("line %d", d.Line)
			}
			if line := lines[d.Line-1]; d.Line > 1 && !json.Valid(line) { // a byte order mark may begin the first line

				t.Errorf("%q is not JSON, but gives %q", line, d.Text)
			}
			return nil
		})
	})
}
