//go:build unix

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	steps   = 60 // of the trainings
	further = 6  // steps that a resumed run makes more
)

// kinds are the kinds of runs.
var kinds = []string{"ae", "lm", "ar"}

// soak has what all rounds use: runs, texts and the results of commands that nothing disturbed.
type soak struct {
	calm, dir string
	whole     map[string]string            // weights of a run of each kind, after steps
	longer    map[string]string            // the same after further steps
	said      map[string]string            // output of a command on an undamaged run, by its words
	made      map[string]map[string]string // files that another verb makes, by its name
	took      map[string]time.Duration     // how long each takes
}

// path returns the path of something that prepare made.
func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }

// training returns the arguments of a training of a kind.
func (s *soak) training(kind, out string) []string {
	args := []string{"train", kind, "--out", out, "--data", s.path("text.txt"), "--threads", "1", "--steps", fmt.Sprint(steps)}
	sets := []string{"hidden_size=16", "intermediate_size=24", "batch_size=2", "eval_blocks=2", "warmup_steps=2", "logging_steps=1", "save_steps=7", "eval_steps=9"}
	switch kind {
	case "ae":
		sets = append(sets, "latent_size=8", "block_size=16")
	case "lm":
		args = append(args, "--ae", s.path("ae"))
		sets = append(sets, "num_samples=2", "noise_size=6", "target_samples=4")
	}
	if kind != "ae" {
		sets = append(sets, "num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1", "block_size=32")
	}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	return args
}

// verbs are the commands that make files, apart from trainings, by name. Each writes to out.
func (s *soak) verbs(out string) map[string][]string {
	return map[string][]string{
		"export":          {"export", s.path("lm"), out},
		"import":          {"import", s.path("exported"), out},
		"data prepare":    {"data", "prepare", "--data", s.path("text.jsonl.gz"), "--out", out},
		"tokenizer train": {"tokenizer", "train", "--data", s.path("text.txt"), "--out", out, "--vocab", "300"},
	}
}

// reading returns a command that reads a run.
func reading(verb, run string) []string {
	switch verb {
	case "generate":
		return []string{"generate", run, "--prompt", "the ", "--max-tokens", "12", "--seed", "3", "--threads", "1"}
	case "eval":
		return []string{"eval", run, "--json", "--blocks", "2", "--threads", "1"}
	}
	return []string{verb, run}
}

// prepare makes the runs and texts in the directory dir.
func prepare(calm, dir string) (*soak, error) {
	s := &soak{calm: calm, dir: dir, whole: map[string]string{}, longer: map[string]string{}, said: map[string]string{},
		made: map[string]map[string]string{}, took: map[string]time.Duration{}}
	if err := errors.Join(os.MkdirAll(dir, 0o777), s.texts()); err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		if err := s.timed(kind, s.training(kind, s.path(kind))...); err != nil {
			return nil, err
		}
		s.whole[kind] = weights(s.path(kind), steps)
		for _, verb := range []string{"generate", "eval", "info"} {
			s.said[verb+" "+kind], _ = s.run(reading(verb, "../"+kind)...)
		}
		more := s.path(kind + "-longer")
		if err := os.CopyFS(more, os.DirFS(s.path(kind))); err != nil {
			return nil, err
		}
		if _, err := s.run("train", "--resume", more, "--steps", fmt.Sprint(steps+further)); err != nil {
			return nil, err
		}
		s.longer[kind] = weights(more, steps+further)
	}
	if _, err := s.run("export", s.path("lm"), s.path("exported")); err != nil {
		return nil, err
	}
	for name, args := range s.verbs(s.path("made")) {
		if err := s.timed(name, args...); err != nil {
			return nil, err
		}
		s.made[name] = tree(s.path("made"))
		if err := os.RemoveAll(s.path("made")); err != nil {
			return nil, err
		}
	}
	_, err := s.run("data", "prepare", "--data", s.path("text.txt"), "--out", s.path("prepared"))
	return s, err
}

// texts writes a text, the same text as compressed JSON lines, and directories to work in.
func (s *soak) texts() error {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the whale swam round and round a ship of oak while old men sang to it until morning came")
	var text, lines strings.Builder
	var packed bytes.Buffer
	for text.Len() < 40_000 {
		line := ""
		for range 1 + r.IntN(12) {
			line += words[r.IntN(len(words))] + " "
		}
		text.WriteString(line + "\n")
		data, err := json.Marshal(map[string]string{"text": line})
		if err != nil {
			return err
		}
		lines.Write(append(data, '\n'))
	}
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(lines.String()))
	return errors.Join(err, z.Close(), os.WriteFile(s.path("text.txt"), []byte(text.String()), 0o666),
		os.WriteFile(s.path("text.jsonl.gz"), packed.Bytes(), 0o666), os.Mkdir(s.path("here"), 0o777))
}

// run runs an undisturbed command, which must succeed, in a directory beside the runs, as rounds do.
func (s *soak) run(args ...string) (string, error) {
	cmd := exec.Command(s.calm, args...)
	cmd.Dir = s.path("here")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("calm %s: %w: %s", strings.Join(args, " "), err, &errOut)
	}
	return string(out), err
}

// timed is run for a command whose time counts.
func (s *soak) timed(name string, args ...string) error {
	begun := time.Now()
	_, err := s.run(args...)
	s.took[name] = time.Since(begun)
	return err
}
