package run_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// TestAutoencoderStillInTraining creates a language model while its autoencoder is trained further. The autoencoder saved in the
// run must be the one that the language model was initialized with.
func TestAutoencoderStillInTraining(t *testing.T) {
	dir, text := t.TempDir(), tinyText(t)
	ae := run.Options{Kind: run.AE, Out: filepath.Join(dir, "ae"), Set: tinyAE, Data: []string{text}, Steps: 3}
	trainTo(t, 1, 0, ae)
	old, err := os.ReadFile(filepath.Join(ae.Out, checkpoint.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	// The text is in memory. Create asks for it after it has read the autoencoder, and waits there until text is given.
	asked, give := make(chan struct{}), make(chan struct{})
	waiting := func(yield func(corpus.Document, error) bool) {
		close(asked)
		<-give
		data, err := os.ReadFile(text)
		yield(corpus.Document{Text: data}, err)
	}
	type created struct {
		t   *run.Training
		err error
	}
	done, eng := make(chan created, 1), engine(t, 1)
	go func() {
		tr, err := run.Create(t.Context(), eng, run.Options{Kind: run.LM, Out: filepath.Join(dir, "lm"), Set: tinyLM, Documents: waiting, AE: ae.Out})
		done <- created{tr, err}
	}()
	select {
	case <-asked:
	case c := <-done:
		t.Fatal(c.err)
	}
	ae.Steps = 6
	trainTo(t, 1, 0, ae)
	close(give)
	c := <-done
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.t.Close()
	copied, err := checkpoint.Open(filepath.Join(dir, "lm", checkpoint.AutoencoderIn, checkpoint.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	for _, name := range copied.Names() {
		got, err := copied.Float32s(name)
		if p := c.t.Params.Get(lm.AEPrefix + name); err != nil || p == nil || !slices.Equal(got, p.Data) {
			t.Errorf("%s differs from the language model's: %v", name, err)
		}
	}
	if now, err := os.ReadFile(filepath.Join(ae.Out, checkpoint.ModelFile)); err != nil || slices.Equal(now, old) {
		t.Errorf("the autoencoder was not trained further: %v", err)
	}
}
