// Package checkpoint keeps runs on disk: directories that hold all that training, evaluation and generation need, with
// checkpoints that are there whole or not at all, and the safetensors files in them.
//
// A run directory is
//
//	config.json                  the resolved configuration; a directory that has it is a run
//	tokenizer.json               the tokenizer
//	autoencoder/                 a language model's frozen autoencoder: config.json, model.safetensors
//	model.safetensors            the newest weights: a hard link into state/, or a copy where links fail
//	metrics.jsonl                one line of JSON a measurement
//	state/step-N/                a checkpoint: model.safetensors, optimizer.safetensors, state.json
//	.lock                        held by the process that trains
//
// A checkpoint is written as a hidden directory, files and directory are synced, and it is renamed: that rename is the
// commit. Everything else can be made again from it; resuming reads state/ and nothing but state/. Names that begin
// with a dot and end in .tmp are unfinished and go away when the run is next resumed.
//
// The safetensors reader and writer are calm's own. Of the libraries there are in Go, github.com/nlpodyssey/safetensors
// parses the header with encoding/json, which accepts repeated tensor names (the last wins), unknown and wrongly cased
// keys, and names neither tensor nor byte in its errors; it needs the file in memory and sorts no single way on writing.
package checkpoint

import (
	"errors"
	"fmt"

	"github.com/calm-go/calm/internal/filelock"
)

// Errors that callers decide by.
var (
	ErrNotRun       = errors.New("not a run directory")
	ErrExists       = errors.New("is in the way")
	ErrLocked       = filelock.ErrHeld
	ErrNoCheckpoint = errors.New("no checkpoint yet")
)

// DamagedError says that a file is not what it should be: truncated, altered, or of another format.
type DamagedError struct {
	Path string
	Err  error // what is wrong, with the byte or the tensor
}

// Error names the file and what is wrong with it.
func (e *DamagedError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *DamagedError) Unwrap() error { return e.Err }

func damaged(path, format string, args ...any) error {
	return &DamagedError{Path: path, Err: fmt.Errorf(format, args...)}
}
