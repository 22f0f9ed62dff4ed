// Package quickstart is the first two minutes with calm: on the embedded book it trains an autoencoder and a language
// model over it, measures both beside models that know little or nothing, and writes text.
package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// Options say how long the quickstart takes and where it works. Either Steps or Minutes counts.
type Options struct {
	Minutes float64 // in all, about
	AESteps int     // with LMSteps: fixed numbers of steps instead
	LMSteps int
	Head    string // of the language model, one of Heads; "" for the first
	Out     string // the language model's run; the autoencoder's is beside it, see AEDir
	Seed    uint64

	Say      io.Writer                           // what is told to the reader
	Command  func(words ...string) string        // the line by which he starts calm with these arguments; nil: calm and the words
	Progress func(phase run.Kind, e train.Event) // nil: nobody
	PhaseEnd func()                              // nil, or called when a phase of training or measuring is over
	// Measure, if not nil, is called when the last measurement begins; what it returns is told how many blocks are done.
	Measure func() func(done, total int)
}

// Figures is what was measured; all of it was. It is what `calm quickstart --json` writes. AE and LM are on the whole
// held-out text, and under the names of `calm eval --json`; AE's noise is .3 alone.
type Figures struct {
	Run string                  `json:"run"` // the language model's
	AE  autoencoder.Measurement `json:"ae"`
	LM  lm.Measurement          `json:"lm"`
	// The scores of models that know only how often each byte occurs, and nothing, at the same positions.
	eval.BaselineResult
	Steps      [2]int  `json:"steps"`        // of training: autoencoder, language model
	Seconds    float64 `json:"seconds"`      // in all
	TokensPerS float64 `json:"tokens_per_s"` // bytes a second of the language model's training
}

const (
	// goal is the share of held-out tokens that the autoencoder has to give back.
	goal = .99
	// aeShare and aeMost are the parts of the time that the autoencoder's training gets, and may take until it reaches
	// the goal; measureShare is kept for the last measurement.
	aeShare, aeMost, measureShare = .15, .5, .06
)

// Heads are those that the quickstart trains, the one that learns most in its time first.
func Heads() []string { return []string{head.FlowType, head.EnergyType} }

// preset names the language model of a head.
func preset(kind string) string {
	if kind == head.EnergyType {
		return run.DefaultPreset
	}
	return run.DefaultPreset + "-" + head.FlowType
}

// AEDir is where the autoencoder of the quickstart in dir is trained.
func AEDir(dir string) string { return filepath.Clean(dir) + "-ae" }

// ErrGoal says that the autoencoder did not become good enough in the time it had.
var ErrGoal = errors.New("the autoencoder gives back too few tokens")

// Run does it all. When ctx ends, what is trained so far is saved, the reader is told how to go on, and the error is ctx's.
func Run(ctx context.Context, eng *cpu.Engine, o Options) (Figures, error) {
	for _, dir := range []string{AEDir(o.Out), o.Out} {
		_, err := os.Lstat(dir)
		entries, errRead := os.ReadDir(dir)
		if err == nil && (errRead != nil || len(entries) > 0) {
			return Figures{}, &run.UsageError{Err: fmt.Errorf("quickstart: %s is there already: choose another directory with --out", dir)}
		}
		if err := atomicfile.CanMake(dir); err != nil {
			return Figures{}, &run.UsageError{Err: fmt.Errorf("quickstart: %w", err)}
		}
	}
	if o.Command == nil {
		o.Command = func(words ...string) string { return "calm " + strings.Join(words, " ") }
	}
	q := &quickstart{Options: o, eng: eng, started: time.Now()}
	defer func() {
		if q.model != nil {
			_ = q.model.Close() // it was only read
		}
	}()
	for _, step := range []func(context.Context) error{q.trainAE, q.trainLM, q.measure, q.write} {
		err := step(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, context.Canceled) {
			q.stopped()
		}
		if err != nil {
			return q.figures, err
		}
	}
	q.farewell()
	return q.figures, nil
}

type quickstart struct {
	Options
	eng     *cpu.Engine
	started time.Time
	figures Figures
	model   *calm.Model // the language model, trained
}

func (q *quickstart) say(format string, args ...any) { fmt.Fprintf(q.Say, format+"\n", args...) }

func (q *quickstart) elapsed() float64 { return time.Since(q.started).Seconds() }

// trainAE trains the autoencoder for its share of the time, and longer if it has not reached the goal.
func (q *quickstart) trainAE(ctx context.Context) error {
	q.say("calm quickstart: Moby-Dick, byte by byte, on %s (%s)", plural.Count(q.eng.Threads(), "thread"), q.eng.ISA())
	q.say("\n1. An autoencoder packs 4 bytes into one vector of 32 numbers and unpacks it.")
	o := run.Options{Kind: run.AE, Out: AEDir(q.Out), Seed: &q.Seed, Steps: q.AESteps}
	if o.Steps == 0 {
		o.Minutes = aeShare * q.Minutes
	}
	t, err := run.Create(ctx, q.eng, o)
	if err != nil {
		return err
	}
	train, held := t.Corpus().Train(), t.Corpus().HeldOut()
	q.say("   Training text: %s, %s; held out: %s, %s.", plural.Count(train.Documents(), "document"), plural.Count(train.Tokens(), "byte"),
		plural.Count(held.Documents(), "document"), plural.Count(held.Tokens(), "byte"))
	out, err := q.train(ctx, t)
	if err != nil {
		return err
	}
	accuracy := metric.Find(out.Measured, metric.Accuracy)
	for q.AESteps == 0 && accuracy < goal && q.elapsed() < 60*aeMost*q.Minutes {
		q.say("   %.2f %% of the held-out bytes come back: not enough yet.", 100*accuracy)
		if out, err = q.more(ctx, out.Steps+out.Steps/2); err != nil {
			return err
		}
		accuracy = metric.Find(out.Measured, metric.Accuracy)
	}
	if q.AESteps == 0 && accuracy < goal {
		return fmt.Errorf("%w: %.2f %% where %.0f %% are wanted; give it more time with --minutes", ErrGoal, 100*accuracy, 100*goal)
	}
	q.figures.Steps[0] = out.Steps
	return nil
}

// more trains the autoencoder on to a larger number of steps.
func (q *quickstart) more(ctx context.Context, steps int) (train.Outcome, error) {
	t, _, err := run.Resume(ctx, q.eng, AEDir(q.Out), run.ResumeOptions{Steps: steps})
	if err != nil {
		return train.Outcome{}, err
	}
	return q.train(ctx, t)
}

// train trains to the end, or fails, with ctx's error if that ended it; and closes t.
func (q *quickstart) train(ctx context.Context, t *run.Training) (train.Outcome, error) {
	if q.Progress != nil {
		t.Loop.Progress = func(e train.Event) { q.Progress(t.Kind, e) }
	}
	out, err := t.Do(ctx)
	if q.PhaseEnd != nil {
		q.PhaseEnd()
	}
	if err = errors.Join(err, t.Close()); err == nil && !out.Finished {
		err = ctx.Err()
	}
	return out, err
}

// trainLM trains the language model for the rest of the time.
func (q *quickstart) trainLM(ctx context.Context) error {
	if err := q.measureAE(ctx); err != nil {
		return err
	}
	q.say("\n2. A language model reads vectors and predicts the next one, four bytes at a step.")
	o := run.Options{Kind: run.LM, Preset: preset(q.Head), Out: q.Out, AE: AEDir(q.Out), Seed: &q.Seed, Steps: q.LMSteps}
	if o.Steps == 0 {
		left := 60*q.Minutes*(1-measureShare) - q.elapsed()
		o.Minutes = max(left, 60*.2*q.Minutes) / 60
	}
	t, err := run.Create(ctx, q.eng, o)
	if err != nil {
		return err
	}
	if m := t.Network.(*lm.Model); m.Config.ModelType == head.FlowType {
		q.say("   Its head carries noise to that vector in %s; the paper's takes one and learns more slowly (--head energy).", plural.Count(m.Head.Steps(), "step"))
	}
	out, err := q.train(ctx, t)
	if err != nil {
		return err
	}
	q.figures.Steps[1] = out.Steps
	q.figures.TokensPerS = float64(out.Steps*t.BatchSize*t.BlockSize) / out.Seconds
	return nil
}

// measureAE measures the autoencoder on all of the held-out text.
func (q *quickstart) measureAE(ctx context.Context) error {
	m, err := calm.Open(AEDir(q.Out), calm.Threads(q.eng.Threads()))
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := m.Evaluate(ctx, run.Evaluation{Options: eval.Options{Sigmas: []float64{.3}}})
	if err != nil {
		return err
	}
	ae := r.Measured.(autoencoder.Measurement)
	q.figures.AE = ae
	q.say("   %.2f %% of the held-out bytes come back, %.2f %% where noise of .3 is added to the vector; %d of %s collapsed.",
		100*ae.Accuracy, 100*ae.Noise[0].Accuracy, ae.Collapsed, plural.Count(len(ae.DimensionKL), "dimension"))
	return nil
}

// measure scores the language model and those that know little on the held-out text.
func (q *quickstart) measure(ctx context.Context) error {
	var err error
	if q.model, err = calm.Open(q.Out, calm.Threads(q.eng.Threads())); err != nil {
		return err
	}
	o := run.Evaluation{Options: eval.Options{Samples: 8}}
	if q.Measure != nil {
		o.Progress = q.Measure()
	}
	r, err := q.model.Evaluate(ctx, o)
	if q.PhaseEnd != nil {
		q.PhaseEnd()
	}
	if err != nil {
		return err
	}
	base, err := q.model.Baselines(ctx, eval.Options{})
	if err != nil {
		return err
	}
	model := r.Measured.(lm.Measurement)
	q.figures.LM, q.figures.BaselineResult = model, base
	q.say("\n3. Measured on text it has not seen (%s; 100 is perfect):", plural.Count(model.Positions, "position"))
	q.say("   %-34s Brier-1 %7.3f   BrierLM %8.4f", "knows nothing", base.Uniform.Brier[0], base.Uniform.BrierLM)
	q.say("   %-34s Brier-1 %7.3f   BrierLM %8.4f", "knows how often each byte occurs", base.Unigram.Brier[0], base.Unigram.BrierLM)
	if model.Measurable {
		q.say("   %-34s Brier-1 %7.3f   BrierLM %8.4f  (95 %%: %.2f to %.2f)", "this model", model.Brier[0], model.BrierLM, model.BrierLMInterval.Lo, model.BrierLMInterval.Hi)
	} else {
		q.say("   %-34s Brier-1 %7.3f   BrierLM not measurable yet: train longer", "this model", model.Brier[0])
	}
	return nil
}

// samples are what the quickstart writes at the end.
var samples = []struct {
	title       string
	temperature float64
}{
	{"at temperature 1, what it has learned", 1},
	{"at temperature 1/2: safer, duller", .5},
}

func (q *quickstart) write(ctx context.Context) error {
	const prompt = "The whale "
	for i, s := range samples {
		q.say("\n%d. It writes, %s:", 4+i, s.title)
		fmt.Fprintf(q.Say, "   %s", prompt)
		g := q.model.Generate(ctx, prompt, calm.Options{Temperature: s.temperature, Seed: q.Seed})
		for text, err := range g.Text() {
			if err != nil {
				return err
			}
			fmt.Fprint(q.Say, strings.ReplaceAll(text, "\n", "\n   "))
		}
		q.say("")
	}
	return nil
}

func (q *quickstart) farewell() {
	q.figures.Seconds = q.elapsed()
	q.figures.Run = q.Out
	q.say("\nDone in %s: %d + %s, %.0f bytes a second. The run is %s. Next:",
		time.Duration(q.figures.Seconds*float64(time.Second)).Round(time.Second), q.figures.Steps[0], plural.Count(q.figures.Steps[1], "step"), q.figures.TokensPerS, q.Out)
	q.sayCommand("generate", q.Out, "--prompt", "Call me ", "--seed", "7")
	q.sayCommand("eval", q.Out)
	q.say("  %s     (twice as long)", q.Command("train", "--resume", q.Out, "--steps", strconv.Itoa(2*q.figures.Steps[1])))
	q.say("  %s && %s", q.Command("train", "ae", "--out", "runs/mine-ae", "--data", "my.txt"),
		q.Command("train", "lm", "--preset", preset(q.Head), "--ae", "runs/mine-ae", "--out", "runs/mine", "--data", "my.txt"))
	q.say("A model that predicts byte after byte learns faster at this size; calm's gain is in the steps that a text takes.")
}

func (q *quickstart) sayCommand(words ...string) { q.say("  %s", q.Command(words...)) }

// stopped says what there is, and which commands do the rest.
func (q *quickstart) stopped() {
	ae := AEDir(q.Out)
	switch {
	case q.figures.Steps[1] > 0:
		q.say("\nStopped. The language model is trained: %s. It is to be measured and to write:", q.Out)
		q.sayCommand("eval", q.Out)
		q.sayCommand("generate", q.Out)
	case isRun(q.Out):
		q.say("\nStopped. The language model is half trained, in %s. Go on with:", q.Out)
		q.sayCommand("train", "--resume", q.Out)
	case q.figures.Steps[0] > 0:
		q.say("\nStopped. The autoencoder is trained: %s. Go on with the language model:", ae)
		q.sayCommand(q.lmCommand()...)
	case isRun(ae):
		q.say("\nStopped. The autoencoder is half trained, in %s. Go on with it, then with the language model:", ae)
		q.sayCommand("train", "--resume", ae)
		q.sayCommand(q.lmCommand()...)
	default:
		q.say("\nStopped before anything was trained: start again.")
	}
}

func isRun(dir string) bool {
	_, err := checkpoint.OpenRun(dir)
	return err == nil
}

// lmCommand are the arguments that train the language model as the quickstart would have.
func (q *quickstart) lmCommand() []string {
	words := []string{"train", "lm", "--preset", preset(q.Head), "--ae", AEDir(q.Out), "--out", q.Out, "--seed", strconv.FormatUint(q.Seed, 10)}
	if q.LMSteps > 0 {
		return append(words, "--steps", strconv.Itoa(q.LMSteps))
	}
	return append(words, "--minutes", strconv.FormatFloat(q.Minutes*(1-aeShare-measureShare), 'g', 3, 64))
}

// FreeDir returns dir, or dir-2, dir-3 ..: the first at which no quickstart has been.
func FreeDir(dir string) string {
	for i := 1; ; i++ {
		name := dir
		if i > 1 {
			name = fmt.Sprintf("%s-%d", dir, i)
		}
		_, errLM := os.Lstat(name)
		_, errAE := os.Lstat(AEDir(name))
		if errors.Is(errLM, os.ErrNotExist) && errors.Is(errAE, os.ErrNotExist) {
			return name
		}
	}
}
