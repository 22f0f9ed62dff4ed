package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// ServeOptions say what to serve, and to how many readers.
type ServeOptions struct {
	GenerateOptions
	HTTP    bool  // over HTTP too, through the loopback device; with a run
	Streams []int // numbers of readers to measure one after the other; the first is what others are compared with
	Tokens  int   // of a text on average; half as many at least, and half as many more at most
}

// maxStreams bounds the readers of a measurement.
const maxStreams = 1000

// Serve measures texts that are written at the same time by one model. Each of some readers reads one text after the other, with
// prompts and seeds of its own. Below temperature 1, random weights need as many draws as a run's, but all of them are equal.
func Serve(ctx context.Context, o ServeOptions) error {
	dtype, err := o.validate()
	if err = errors.Join(err, o.check()); err != nil {
		return err
	}
	eng := o.engine(o.Threads)
	defer eng.Close()
	if o.Run != "" {
		m, err := run.Open(o.Run, append(o.Set, "dtype="+string(dtype))...)
		if err != nil {
			return err
		}
		defer m.Close()
		network, writes := m.Network.(generate.Model)
		if !writes {
			return usage("bench serve: %s is a run of kind %s, want a language model's (lm) or a baseline's (ar)", o.Run, m.Kind)
		}
		name := filepath.Base(o.Run)
		if err := o.serve(ctx, eng, name, network); err != nil || !o.HTTP {
			return err
		}
		return o.serveHTTP(ctx, Result{Name: "serve/http/" + name, Threads: eng.Threads(), ISA: eng.ISA().String()}, dtype, network.Shape())
	}
	for _, name := range o.names() {
		m, err := newModel(name, run.LM, false, o.Set)
		if err != nil {
			return err
		}
		m.randomize()
		m.narrow(dtype)
		if err := o.serve(ctx, eng, name, m.Network.(generate.Model)); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error for options out of range.
func (o ServeOptions) check() error {
	for _, n := range o.Streams {
		if n < 1 || n > maxStreams {
			return usage("--streams %d: want 1 to %d", n, maxStreams)
		}
	}
	if o.Tokens < 2 {
		return usage("--tokens %d: want 2 or more", o.Tokens)
	}
	switch {
	case o.HTTP && o.Run == "":
		return usage("--http needs a run: a server serves directories")
	case o.HTTP && o.ISA != "":
		return usage("--http: a server takes the best instruction set: leave --isa out")
	}
	return o.GenerateOptions.check()
}

// endless is a model whose texts do not end by themselves, but by chance with BOS.
type endless struct{ generate.Model }

// Shape implements [generate.Model].
func (m endless) Shape() generate.Shape {
	s := m.Model.Shape()
	s.EOS = -1
	return s
}

// serve measures every number of readers with one generator.
func (o ServeOptions) serve(ctx context.Context, eng *cpu.Engine, name string, m generate.Model) error {
	g, err := generate.New(eng, endless{m}, nil, nil)
	if err != nil {
		return err
	}
	defer g.Close()
	shape := m.Shape()
	s := session{o: o, vocabulary: int32(shape.VocabSize), read: func(ctx context.Context, prompt []int32, seed uint64, tokens int, patch func(tokens int)) error {
		options := o.options()
		options.Seed, options.MaxTokens = seed, tokens
		text, err := g.Text(prompt, options)
		if err != nil {
			return err
		}
		for chunk, err := range text.Chunks(ctx) {
			if err != nil {
				return err
			}
			patch(len(chunk.Tokens))
		}
		return nil
	}}
	return s.measure(ctx, Result{Name: "serve/" + name, Threads: eng.Threads(), ISA: eng.ISA().String()})
}

// session is readers of one model.
type session struct {
	o          ServeOptions
	vocabulary int32
	// read reads a text of so many tokens after a prompt, and calls patch for each patch when it comes.
	read func(ctx context.Context, prompt []int32, seed uint64, tokens int, patch func(tokens int)) error
}

// measure measures every number of readers. r has what their results have in common.
func (s session) measure(ctx context.Context, r Result) error {
	var one float64 // tokens/s of the first number of readers
	for _, n := range s.o.Streams {
		seen, err := s.readers(ctx, n)
		if err != nil {
			return err
		}
		r := seen.result(r)
		r.Shape = fmt.Sprintf("%s, T=%g", plural.Count(n, "stream"), s.o.Temperature)
		if one == 0 {
			one = r.TokensPerS
		} else {
			r.OverOne = r.TokensPerS / one
		}
		s.o.Emit(r)
	}
	return nil
}

// seen is what readers saw in a period: times from a text's beginning to its first patch, and from patch to patch, in ms.
type seen struct {
	mu             sync.Mutex
	from           time.Time // the period's beginning; zero before
	first, between []float64
	mean           []float64 // of between, over paced patches
	tokens         int
	seconds        float64 // of the period
}

// errOver ends the reading when the period is over.
var errOver = errors.New("the period is over")

// readers lets n readers read text after text. The period begins when each has read one: so programs are compiled by then, and
// texts do not begin at the same time.
func (s session) readers(outer context.Context, n int) (*seen, error) {
	seen := &seen{}
	ctx, stop := context.WithCancelCause(outer)
	defer stop(nil)
	var readers, begun sync.WaitGroup
	begun.Add(n)
	for i := range n {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), uint64(i)))
			once := sync.OnceFunc(begun.Done)
			defer once()
			for ctx.Err() == nil {
				if err := s.reader(ctx, r, seen); err != nil {
					stop(err)
				}
				once()
			}
		})
	}
	begun.Wait()
	begin := seen.begin()
	select {
	case <-ctx.Done():
	case <-time.After(s.o.duration()):
	}
	seen.seconds = time.Since(begin).Seconds()
	stop(errOver)
	readers.Wait()
	if err := ended(outer); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != errOver {
		return nil, err
	}
	return seen, nil
}

// reader reads a text.
func (s session) reader(ctx context.Context, r *rand.Rand, to *seen) error {
	prompt := make([]int32, s.o.Prompt)
	for i := range prompt {
		prompt[i] = r.Int32N(s.vocabulary)
	}
	length := s.o.Tokens/2 + r.IntN(s.o.Tokens+1)
	times := []time.Time{time.Now()} // of the beginning, then of each patch
	return s.read(ctx, prompt, r.Uint64(), length, func(tokens int) {
		if times = append(times, time.Now()); ctx.Err() == nil {
			to.patch(times, tokens)
		}
	})
}

// begin begins the period.
func (s *seen) begin() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = time.Now()
	return s.from
}

// paced is how many patches the time from patch to patch is a mean over: where a reader is slower than the model, patches come two
// or three at a time.
const paced = 4

// patch notes the latest patch of a text, given when it began and when each of its patches came.
func (s *seen) patch(times []time.Time, tokens int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from.IsZero() {
		return
	}
	s.tokens += tokens
	n := len(times) - 1
	if n > 1 {
		s.between = append(s.between, milliseconds(times[n].Sub(times[n-1])))
	} else if times[0].After(s.from) {
		s.first = append(s.first, milliseconds(times[1].Sub(times[0])))
	}
	if n > paced {
		s.mean = append(s.mean, milliseconds(times[n].Sub(times[n-paced]))/paced)
	}
}

// result adds what was seen to a result.
func (s *seen) result(r Result) Result {
	_, r.MSP95, r.MSP99 = quantiles(s.between)
	r.MSMedian, _, _ = quantiles(s.mean)
	r.Runs = len(s.between)
	r.FirstMS, r.FirstMSP95, r.FirstMSP99 = quantiles(s.first)
	r.TokensPerS = float64(s.tokens) / s.seconds
	return r
}

// quantiles returns the median, and the 95th and 99th percentile: the smallest number that so many are not above.
func quantiles(x []float64) (p50, p95, p99 float64) {
	if len(x) == 0 {
		return 0, 0, 0
	}
	slices.Sort(x)
	at := func(percent int) float64 { return x[(len(x)*percent+99)/100-1] }
	return at(50), at(95), at(99)
}
