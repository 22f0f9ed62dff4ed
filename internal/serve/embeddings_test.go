package serve_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm"
)

// vectors is an answer of /v1/embeddings.
type vectors struct {
	Data []struct {
		Index     int
		Object    string
		Embedding json.RawMessage
		Shape     []int
	}
	Usage struct {
		Prompt  int `json:"prompt_tokens"`
		Total   int `json:"total_tokens"`
		Patches int
	}
}

// TestEmbeddings checks the vectors of patches in all forms, for a text longer than what is encoded at once.
func TestEmbeddings(t *testing.T) {
	s := start(t, all)
	r, _ := tinyRuns()
	m, err := calm.Open(r.AE, calm.Threads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text := strings.Repeat("Call me a whale. ", 130)
	want, err := m.Encode(text)
	if err != nil || len(want) < 500 {
		t.Fatal(len(want), err)
	}
	ids := m.Tokenizer().Encode(text)
	for _, input := range []any{text, []string{text}, ids, [][]int32{ids}} {
		for _, format := range []string{"float", "base64"} {
			got := ok[vectors](s, "/v1/embeddings", encoded(map[string]any{"model": "lm", "input": input, "pooling": "none", "encoding_format": format, "dimensions": 8}))
			if len(got.Data) != 1 || got.Data[0].Object != "embedding" || !slices.Equal(got.Data[0].Shape, []int{len(want), 8}) || got.Usage.Prompt != len(ids) || got.Usage.Total != len(ids) || got.Usage.Patches != len(want) {
				t.Fatalf("%d objects, %+v", len(got.Data), got.Usage)
			}
			if numbers := numbersOf(t, got.Data[0].Embedding, format); !slices.Equal(numbers, slices.Concat(want...)) {
				t.Errorf("%s of %T: %d numbers differ from %d", format, input, len(numbers), 8*len(want))
			}
		}
	}
	means := ok[vectors](s, "/v1/embeddings", encoded(map[string]any{"model": "ae", "input": []string{"abc", text}}))
	got := numbersOf(t, []byte("["+string(means.Data[1].Embedding)+"]"), "float")
	for i, x := range got {
		sum := 0.
		for _, v := range want {
			sum += float64(v[i])
		}
		if x != float32(sum/float64(len(want))) || len(got) != 8 {
			t.Errorf("number %d of the mean is %g, want %g", i, x, sum/float64(len(want)))
		}
	}
}

// numbersOf returns the numbers of a list of lists, or of base64.
func numbersOf(t *testing.T, data []byte, format string) (all []float32) {
	t.Helper()
	if format == "float" {
		var lists [][]float32
		if err := json.Unmarshal(data, &lists); err != nil {
			t.Fatal(err)
		}
		return slices.Concat(lists...)
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(raw) > 0; raw = raw[4:] {
		all = append(all, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return all
}
