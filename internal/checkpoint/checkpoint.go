// Package checkpoint keeps runs on disk: directories with everything that training, evaluation and generation need. A
// checkpoint in a run is either complete or absent. The package also reads and writes safetensors files.
//
// A run directory is
//
//	config.json                  the resolved configuration; a directory that has it is a run
//	tokenizer.json               the tokenizer
//	autoencoder/                 a language model's frozen autoencoder: config.json, model.safetensors
//	model.safetensors            the newest weights: a hard link into state/, or a copy where links fail
//	metrics.jsonl                one line of JSON for each event
//	state/step-N/                a checkpoint: model.safetensors, optimizer.safetensors, state.json
//	.lock                        locked by the process that trains
//
// A checkpoint is written to a hidden directory. Its files and the directory are synced, and then it is renamed: the rename is
// the commit. Resuming reads only state/; everything else can be made again from it. Files whose names begin with a dot and
// end in .tmp are unfinished. They are removed when the run is next resumed.
//
// The safetensors reader and writer are calm's own. The Go library github.com/nlpodyssey/safetensors parses the header with
// encoding/json, which accepts repeated tensor names (the last wins) and unknown and wrongly cased keys. Its errors name
// neither tensor nor byte. It needs the file in memory, and its order of tensors on writing is not fixed.
package checkpoint

import (
	"errors"
	"fmt"

	"github.com/calm-go/calm/internal/filelock"
)

// Errors that callers may test for.
var (
	ErrNotRun       = errors.New("not a run directory") // the directory has no config.json
	ErrExists       = errors.New("is in the way")       // a file, or a run, where a new run should be made
	ErrLocked       = filelock.ErrHeld                  // another process trains the run
	ErrNoCheckpoint = errors.New("no checkpoint yet")   // the run has none, or none of that step
)

// DamagedError is returned for a file that is truncated, altered, or of another format.
type DamagedError struct {
	Path string // the file
	Err  error  // what is wrong, with the byte or the tensor
}

// Error names the file and what is wrong with it.
func (e *DamagedError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *DamagedError) Unwrap() error { return e.Err }

func damaged(path, format string, args ...any) error {
	return &DamagedError{Path: path, Err: fmt.Errorf(format, args...)}
}
