package calm_test

import (
	"testing"

	"github.com/calm-go/calm"
)

// BenchmarkGenerate is what a call costs beside the patches that it writes: one token of a model that has written before.
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
