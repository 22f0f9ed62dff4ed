//go:build unix

package run_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

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
	// The text is a pipe. Create opens it after it has read the autoencoder, and waits there until text is written.
	pipe := filepath.Join(dir, "text.jsonl")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	type created struct {
		t   *run.Training
		err error
	}
	done, eng := make(chan created, 1), engine(t, 1)
	go func() {
		tr, err := run.Create(t.Context(), eng, run.Options{Kind: run.LM, Out: filepath.Join(dir, "lm"), Set: tinyLM, Data: []string{pipe}, AE: ae.Out})
		done <- created{tr, err}
	}()
	var w *os.File
	for w == nil {
		if w, err = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			break // it is being read
		}
		select {
		case c := <-done:
			t.Fatal(c.err)
		case <-time.After(time.Millisecond):
		}
	}
	ae.Steps = 6
	trainTo(t, 1, 0, ae)
	data, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	line := append(append([]byte(`{"text": "`), slices.DeleteFunc(data, func(b byte) bool { return b == '\n' })...), "\"}\n"...)
	if _, err := w.Write(line); errors.Join(err, w.Close()) != nil {
		t.Fatal(err)
	}
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
