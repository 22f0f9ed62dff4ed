package corpus

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// textField agrees with encoding/json's map on any object, whatever stands beside
// the text.
func TestTextField(t *testing.T) {
	value := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(x float64) any { return x }),
		rapid.Just[any](nil), rapid.Just[any](true),
		rapid.Just[any](map[string]any{"text": "inner", "}": []any{"]", 1, map[string]any{}}}),
		rapid.Just[any]([]any{}),
	)
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"text", "Text", "te\"xt"})), value).Draw(t, "object")
		var line []byte
		if rapid.Bool().Draw(t, "indent") {
			line, _ = json.MarshalIndent(object, " ", "\t")
		} else {
			line, _ = json.Marshal(object)
		}
		got, err := textField(line)
		var back map[string]any
		if json.Unmarshal(line, &back) != nil {
			t.Skip("not an object of JSON")
		}
		switch want, ok := back["text"]; want := want.(type) {
		case string:
			if err != nil || string(got) != want {
				t.Fatalf("%s gives %q, %v; want %q", line, got, err, want)
			}
		case nil:
			if ok != (err == nil) || got != nil {
				t.Fatalf("%s gives %q, %v", line, got, err)
			}
		default:
			if err == nil {
				t.Fatalf("%s gives %q", line, got)
			}
		}
	})
}

// unquote agrees with encoding/json on every kind of escape, halves of surrogate
// pairs and bytes that are no UTF-8 included.
func TestUnquote(t *testing.T) {
	part := rapid.OneOf(
		rapid.StringMatching(`[a-zé鯨🐋 ]{0,5}`),
		rapid.SampledFrom([]string{`\n`, `\"`, `\\`, `\/`, `\b\f\r\t`, `\u0041`, `\u00e9`, `\uD83D\uDE00`, `\ud83d`, `\ude00`, `\ud83d\n`, `\ud83d\u0041`, `\uFFFD`, `\u0000`, "\x80"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		quoted := `"` + strings.Join(rapid.SliceOf(part).Draw(t, "parts"), "") + `"`
		var want string
		if err := json.Unmarshal([]byte(quoted), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := unquote([]byte(quoted)); err != nil || string(got) != want {
			t.Fatalf("%s is %q, %v; want %q", quoted, got, err, want)
		}
	})
}
