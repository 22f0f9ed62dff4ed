// Package quickstart is the command calm quickstart. On the embedded book it trains an autoencoder and a language model,
// measures both, compares the language model with two simple models, and writes text.
package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// Options say how long the quickstart takes and where it makes its runs. Its length is Minutes, or AESteps and LMSteps.
type Options struct {
	Minutes float64 // total time, about
	AESteps int     // optimizer steps of the autoencoder; 0 to use Minutes
	LMSteps int     // optimizer steps of the language model; 0 to use Minutes
	Head    string  // head of the language model, one of Heads
	Out     string  // run directory of the language model; the autoencoder's is AEDir(Out)
	Seed    uint64  // seed of weights, shuffling, noise and the text at the end

	Say      io.Writer                           // receives the report
	Command  func(words ...string) string        // formats a command of calm for the report; nil for "calm" and the words
	Progress func(phase run.Kind, e train.Event) // receives the events of training; may be nil
	PhaseEnd func()                              // called when a training or the last measurement ends; may be nil
	// Measure is called when the last measurement begins. The function that it returns is called with the number of blocks
	// done and in all. Measure may be nil.
	Measure func() func(done, total int)
}

// Result is what `calm quickstart --json` writes. AE and LM are measured on all held-out text, with the keys of
// `calm eval --json`; AE under noise of .3 only.
type Result struct {
	Run string                  `json:"run"` // run directory of the language model
	AE  autoencoder.Measurement `json:"ae"`  // of the autoencoder
	LM  lm.Measurement          `json:"lm"`  // of the language model
	// The scores of two simple models at the same positions: the unigram and the uniform distribution of bytes.
	eval.BaselineResult
	Steps      [2]int  `json:"steps"`        // optimizer steps: autoencoder, language model
	Seconds    float64 `json:"seconds"`      // total time
	TokensPerS float64 `json:"tokens_per_s"` // bytes per second in the language model's training
}

const (
	// goal is the accuracy on held-out text that the autoencoder must reach.
	goal = .99
	// The shares of the time: aeShare for the autoencoder's training; aeMax for it if it has not reached the goal by then;
	// measureShare for the last measurement.
	aeShare, aeMax, measureShare = .15, .5, .06
)

// presets are the language models that the quickstart can train, by head. The first learns fastest.
var presets = []struct{ head, name string }{
	{head.FlowType, run.DefaultPreset + "-flow"},
	{head.EnergyType, run.DefaultPreset},
}

// Heads lists the heads that the quickstart can train. The first learns fastest.
func Heads() []string {
	var names []string
	for _, p := range presets {
		names = append(names, p.head)
	}
	return names
}

// preset returns the preset of the language model with a head: one of Heads.
func preset(kind string) string {
	for _, p := range presets {
		if p.head == kind {
			return p.name
		}
	}
	return presets[0].name
}

// AEDir returns the run directory of the autoencoder, given that of the language model.
func AEDir(dir string) string { return filepath.Clean(dir) + "-ae" }

// ErrGoal is returned when the autoencoder did not reach an accuracy of 99 % in its time.
var ErrGoal = errors.New("the accuracy of the autoencoder is too low")

// Run trains, measures and writes. When ctx ends, it saves what is trained so far, reports the commands that do the rest, and
// returns the error of ctx. A directory that is taken is a *run.UsageError.
func Run(ctx context.Context, eng *cpu.Engine, o Options) (Result, error) {
	if o.Command == nil {
		o.Command = func(words ...string) string { return "calm " + strings.Join(words, " ") }
	}
	q := &quickstart{Options: o, eng: eng, started: time.Now()}
	if err := q.free(); err != nil {
		return Result{}, &run.UsageError{Err: fmt.Errorf("quickstart: %w", err)}
	}
	defer func() {
		if q.model != nil {
			_ = q.model.Close() // nothing can be lost: it was only read
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
			return q.result, q.kept(err)
		}
	}
	q.farewell()
	return q.result, nil
}

type quickstart struct {
	Options
	eng     *cpu.Engine
	started time.Time
	result  Result
	model   *calm.Model // the trained language model; nil before it is measured
}

func (q *quickstart) say(format string, args ...any) { fmt.Fprintf(q.Say, format+"\n", args...) }

func (q *quickstart) elapsed() float64 { return time.Since(q.started).Seconds() }

// trainAE trains the autoencoder for its share of the time, and longer if it has not reached the goal by then.
func (q *quickstart) trainAE(ctx context.Context) error {
	q.say("calm quickstart: Moby-Dick, byte by byte, on %s (%s)", plural.Count(q.eng.Threads(), "thread"), q.eng.ISA())
	q.say("\n1. An autoencoder turns 4 bytes into one vector of 32 numbers, and back.")
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
	for q.AESteps == 0 && accuracy < goal && q.elapsed() < 60*aeMax*q.Minutes {
		q.say("   It reconstructs %.2f %% of the held-out bytes: it needs more training.", 100*accuracy)
		if out, err = q.more(ctx, out.Steps+out.Steps/2); err != nil {
			return err
		}
		accuracy = metric.Find(out.Measured, metric.Accuracy)
	}
	if q.AESteps == 0 && accuracy < goal {
		return fmt.Errorf("%w: %.2f %%, want %.0f %%; give it more time with --minutes", ErrGoal, 100*accuracy, 100*goal)
	}
	q.result.Steps[0] = out.Steps
	return nil
}

// more continues the autoencoder's training to a larger number of steps.
func (q *quickstart) more(ctx context.Context, steps int) (train.Outcome, error) {
	t, _, err := run.Resume(ctx, q.eng, AEDir(q.Out), run.ResumeOptions{Steps: steps})
	if err != nil {
		return train.Outcome{}, err
	}
	return q.train(ctx, t)
}

// train trains to the end and closes t. If ctx ends the training, it returns the error of ctx.
func (q *quickstart) train(ctx context.Context, t *run.Training) (train.Outcome, error) {
	if q.Progress != nil {
		t.Progress = func(e train.Event) { q.Progress(t.Kind, e) }
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
	q.say("\n2. A language model predicts the next vector, four bytes in each step.")
	o := run.Options{Kind: run.LM, Preset: preset(q.Head), Out: q.Out, AE: AEDir(q.Out), Seed: &q.Seed, Steps: q.LMSteps}
	if o.Steps == 0 {
		left := 60*q.Minutes*(1-measureShare) - q.elapsed()
		o.Minutes = max(left, 60*.2*q.Minutes) / 60
	}
	t, err := run.Create(ctx, q.eng, o)
	if err != nil {
		return err
	}
	m := t.Network.(*lm.Model)
	text := fmt.Sprintf("   Its %s head turns noise into that vector in %s.", m.HeadKind.Name, plural.Count(m.Head.Steps(), "step"))
	if m.HeadKind.TakesSteps() {
		text += " The paper's energy head takes one step, and learns more slowly (--head energy)."
	}
	q.say("%s", text)
	out, err := q.train(ctx, t)
	if err != nil {
		return err
	}
	q.result.Steps[1] = out.Steps
	q.result.TokensPerS = float64(out.Steps*t.BatchSize*t.BlockSize) / out.Seconds
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
	q.result.AE = ae
	q.say("   It reconstructs %.2f %% of the held-out bytes, and %.2f %% if noise of .3 is added to the vector. %d of %s collapsed.",
		100*ae.Accuracy, 100*ae.Noise[0].Accuracy, ae.Collapsed, plural.Count(len(ae.DimensionKL), "dimension"))
	return nil
}

// measure measures the language model and two simple models on the held-out text.
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
	q.result.LM, q.result.BaselineResult = model, base
	q.say("\n3. Measured on held-out text (%s; 100 is perfect):", plural.Count(model.Positions, "position"))
	q.say("   %-34s Brier-1 %7.3f   BrierLM %8.4f", "knows nothing", base.Uniform.Brier[0], base.Uniform.BrierLM)
	q.say("   %-34s Brier-1 %7.3f   BrierLM %8.4f", "knows how often each byte occurs", base.Unigram.Brier[0], base.Unigram.BrierLM)
	if model.Measurable {
		q.say("   %-34s Brier-1 %7.3f   BrierLM %8.4f  (95 %%: %.2f to %.2f)", "this model", model.Brier[0], model.BrierLM, model.BrierLMInterval.Lo, model.BrierLMInterval.Hi)
	} else {
		q.say("   %-34s Brier-1 %7.3f   BrierLM not measurable yet: train longer", "this model", model.Brier[0])
	}
	return nil
}

// samples are the texts that the quickstart writes at the end.
var samples = []struct {
	title       string
	temperature float64
}{
	{"at temperature 1", 1},
	{"at temperature 1/2 (fewer errors, less variety)", .5},
}

func (q *quickstart) write(ctx context.Context) error {
	const prompt = "The whale "
	for i, s := range samples {
		q.say("\n%d. It writes %s:", 4+i, s.title)
		fmt.Fprintf(q.Say, "   %s", prompt)
		g := q.model.Generate(ctx, prompt, calm.Options{Temperature: s.temperature, Seed: q.Seed, ContextFull: calm.StopWhenFull})
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
	q.result.Seconds = q.elapsed()
	q.result.Run = q.Out
	q.say("\nDone in %s: %d + %s, %.0f bytes per second. The run is %s. Next:",
		time.Duration(q.result.Seconds*float64(time.Second)).Round(time.Second), q.result.Steps[0], plural.Count(q.result.Steps[1], "step"), q.result.TokensPerS, q.Out)
	q.sayCommand("generate", q.Out, "--prompt", "Call me ", "--seed", "7")
	q.say("  %s     (a page in your browser)", q.Command("serve", q.Out))
	q.sayCommand("eval", q.Out)
	q.say("  %s     (twice as long)", q.Command("train", "--resume", q.Out, "--steps", strconv.Itoa(2*q.result.Steps[1])))
	q.say("  %s && %s", q.Command("train", "ae", "--out", "runs/mine-ae", "--data", "my.txt"),
		q.Command("train", "lm", "--preset", preset(q.Head), "--ae", "runs/mine-ae", "--out", "runs/mine", "--data", "my.txt"))
	q.say("At this size a model that predicts one byte at a time learns faster. calm's gain is that a text takes fewer steps.")
}

func (q *quickstart) sayCommand(words ...string) { q.say("  %s", q.Command(words...)) }

// stopped reports what is trained so far, and the commands that do the rest.
func (q *quickstart) stopped() {
	ae := AEDir(q.Out)
	switch {
	case q.result.Steps[1] > 0:
		q.say("\nStopped. The language model is trained: %s, and its autoencoder: %s. Measure it and write with it:", q.Out, ae)
		q.sayCommand("eval", q.Out)
		q.sayCommand("generate", q.Out)
	case isRun(q.Out):
		q.say("\nStopped. The autoencoder is trained: %s. The language model in %s is partly trained. Continue with:", ae, q.Out)
		q.sayCommand("train", "--resume", q.Out)
	case q.result.Steps[0] > 0:
		q.say("\nStopped. The autoencoder is trained: %s. Continue with the language model:", ae)
		q.sayCommand(q.lmCommand()...)
	case isRun(ae):
		q.say("\nStopped. The autoencoder in %s is partly trained. Continue with it, then train the language model:", ae)
		q.sayCommand("train", "--resume", ae)
		q.sayCommand(q.lmCommand()...)
	default:
		q.say("\nStopped before anything was trained: start again.")
	}
}

// lmCommand returns the arguments of calm that train the language model as the quickstart would have.
func (q *quickstart) lmCommand() []string {
	words := []string{"train", "lm", "--preset", preset(q.Head), "--ae", AEDir(q.Out), "--out", q.Out, "--seed", strconv.FormatUint(q.Seed, 10)}
	if q.LMSteps > 0 {
		return append(words, "--steps", strconv.Itoa(q.LMSteps))
	}
	return append(words, "--minutes", strconv.FormatFloat(q.Minutes*(1-aeShare-measureShare), 'g', 3, 64))
}
