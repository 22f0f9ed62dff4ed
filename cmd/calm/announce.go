package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// announce prints the text and the size of the model before a training begins.
func announce(w io.Writer, t *run.Training, eng *cpu.Engine) error {
	cost, err := t.Cost(0)
	if err != nil {
		return err
	}
	doing := "training " + t.Kind.Title()
	if done := t.Steps(); done > 0 {
		doing = fmt.Sprintf("continuing %s after step %d", t.Kind.Title(), done)
	}
	fmt.Fprintf(w, "%s: %s on %s\n", t.Dir, doing, textOf(t))
	fmt.Fprintf(w, "  training  %s\n  held out  %s\n", amountOf(t.Corpus().Train()), amountOf(t.Corpus().HeldOut()))
	fmt.Fprintf(w, "  model     %s, %d of them trained, on %s (%s)\n", plural.Count(cost.Kept, "parameter"), cost.Trained, plural.Count(eng.Threads(), "thread"), eng.ISA())
	return nil
}

// textOf names the training text. If the user did not name it, textOf adds where it comes from.
func textOf(t *run.Training) string {
	source := t.Source()
	source.Paths = slices.Clone(source.Paths)
	for i, path := range source.Paths {
		source.Paths[i] = near(path)
	}
	text := source.String()
	switch {
	case t.TextFrom != "":
		text += " (the text of its autoencoder " + t.TextFrom + ")"
	case len(source.Paths) == 0 && !source.Memory:
		text += " (choose another text with --data)"
	}
	return text
}

// near returns the path relative to the working directory if that is shorter.
func near(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// amountOf describes the size of a part of a text.
func amountOf(p *corpus.Part) string {
	return plural.Count(p.Documents(), "document") + ", " + plural.Count(p.Tokens(), "token")
}

// conclude prints the results of a training and the commands that can follow.
func conclude(w io.Writer, t *run.Training, out train.Outcome) {
	fmt.Fprintf(w, "%s: %s in %s\n", t.Dir, plural.Count(out.Steps, "step"), seconds(out.Seconds))
	for _, m := range out.Measured {
		text := value(m)
		if text == notMeasurable {
			text += whyNot
		}
		fmt.Fprintf(w, "  %-18s %s\n", strings.ReplaceAll(m.Name, "_", " "), text)
	}
	fmt.Fprintln(w, "Next:")
	for _, words := range next(t, out.Steps) {
		fmt.Fprintf(w, "  %s\n", commandLine(words...))
	}
}

// next returns commands that can follow the training of a run.
func next(t *run.Training, steps int) [][]string {
	list := [][]string{{"generate", t.Dir, "--prompt", "The "}}
	if t.Kind == run.AE {
		list = [][]string{{"train", "lm", "--ae", t.Dir, "--out", languageModelDir(t.Dir)}}
	}
	return append(list, []string{"eval", t.Dir}, []string{"train", "--resume", t.Dir, "--steps", strconv.Itoa(2 * steps)})
}

// languageModelDir proposes a run directory for a language model on the autoencoder in dir. It is in the same parent
// directory and does not exist yet.
func languageModelDir(dir string) string {
	dir = filepath.Clean(dir)
	parent, base := filepath.Dir(dir), filepath.Base(dir)
	switch before, ok := strings.CutSuffix(base, "-ae"); {
	case base == "ae":
		base = "lm"
	case ok:
		base = before + "-lm"
	default:
		base += "-lm"
	}
	for i := 2; ; i++ {
		name := filepath.Join(parent, base)
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		base = fmt.Sprintf("%s-%d", strings.TrimSuffix(base, fmt.Sprintf("-%d", i-1)), i)
	}
}
