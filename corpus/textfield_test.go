package corpus

import (
	"encoding/json"
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
