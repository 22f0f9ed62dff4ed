package calm_test

import (
	"testing"

	"github.com/calm-go/calm"
)

// BenchmarkGenerate measures the overhead of a call: it writes one token with a model that has already written.
func BenchmarkGenerate(b *testing.B) {
	m, err := calm.Open(exampleRun(), calm.Threads(1))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range m.Generate(b.Context(), "Call me ", calm.Options{MaxTokens: 1}).Text() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
