// Package bench measures calm on the machine it runs on: matrix products, training steps, generation and tokenizers.
//
// What a figure is compared with is measured in the same run, in turns with it and on as many threads: multiply-adds on
// registers for arithmetic, reading a large slice for memory. So a busy or throttled machine slows both, and ratios
// mean the same on every machine. Times are medians.
package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// Result is one measurement, a line of `calm bench --json`. Figures that do not apply are 0 and left out.
type Result struct {
	Name     string  `json:"name"`  // what was measured, such as train/lm-bytes
	Shape    string  `json:"shape"` // on what
	Threads  int     `json:"threads"`
	ISA      string  `json:"isa"`
	MSMedian float64 `json:"ms_median"` // of a run
	Runs     int     `json:"runs"`

	FLOPs          float64 `json:"flops,omitempty"`            // of a run: multiplications and additions of the matrix products
	GFLOPs         float64 `json:"gflops,omitempty"`           // 10^9 of them a second
	PeakGFLOPs     float64 `json:"peak_gflops,omitempty"`      // multiply-adds on registers, on as many threads
	FractionOfPeak float64 `json:"fraction_of_peak,omitempty"` // GFLOPs / PeakGFLOPs
	Speedup        float64 `json:"speedup,omitempty"`          // over one thread, or over the loop of LoopMS, measured in turns with it

	// Of BrierLM: the same scores by a loop over positions that reads each one's prefix again, and by one that keeps it in a
	// cache.
	LoopMS         float64 `json:"loop_ms,omitempty"`
	CachedLoopMS   float64 `json:"cached_loop_ms,omitempty"`
	OverCachedLoop float64 `json:"over_cached_loop,omitempty"` // CachedLoopMS / MSMedian
	Rollouts       float64 `json:"rollouts,omitempty"`         // further patches drawn behind sampled ones, a position

	TokensPerS   float64 `json:"tokens_per_s,omitempty"`
	BytesPerStep float64 `json:"bytes_per_step,omitempty"` // weights that a step reads
	GBPerS       float64 `json:"gb_per_s,omitempty"`       // 10^9 of them a second
	PeakGBPerS   float64 `json:"peak_gb_per_s,omitempty"`  // reading a slice larger than the caches, on as many threads

	// Of writing, means a patch: draws, how many of their K tokens were decoded, and the parts of the time.
	Draws          float64 `json:"draws,omitempty"`
	TokensPerDraw  float64 `json:"tokens_per_draw,omitempty"`
	BackboneMS     float64 `json:"backbone_ms,omitempty"`      // reading the patch before
	HeadMS         float64 `json:"head_ms,omitempty"`          // drawing noise and latent vectors
	DecoderPatchMS float64 `json:"decoder_patch_ms,omitempty"` // the part of the decoder that runs once a draw
	DecoderTokenMS float64 `json:"decoder_token_ms,omitempty"` // the part that runs once a token, with the vocabulary

	MBPerS    float64 `json:"mb_per_s,omitempty"`    // 10^6 bytes of text a second
	PeakRSSMB float64 `json:"peak_rss_mb,omitempty"` // 10^6 bytes of memory the process had at most

	// Of a training step that was compared with a file of another program's times, TrainOptions.Peer.
	Peer     string  `json:"peer,omitempty"`      // the program and the processor it ran on
	PeerMS   float64 `json:"peer_ms,omitempty"`   // its median, of the same step on as many threads
	PeerLoad float64 `json:"peer_load,omitempty"` // load average there and then
	OverPeer float64 `json:"over_peer,omitempty"` // PeerMS / MSMedian

	// Of a line of a profile: the part of a training step that operations of one kind take.
	Count      int     `json:"count,omitempty"` // operations
	ForwardMS  float64 `json:"forward_ms,omitempty"`
	BackwardMS float64 `json:"backward_ms,omitempty"`
	Share      float64 `json:"share,omitempty"` // of the step

	// Of lines of JSON alone; a table has them above it.
	Processor string  `json:"processor,omitempty"`
	Load      float64 `json:"load,omitempty"` // the system's load average of the minute that ended with the measurement
}

// Options are what all measurements share.
type Options struct {
	Threads int         // 0 for all processors
	ISA     *kernel.ISA // nil for the best
	Seconds float64     // for each measurement; at least one run is made
	Emit    func(Result)
}

func (o Options) engine(threads int) *cpu.Engine {
	return cpu.New(cpu.Options{Threads: threads, ISA: o.ISA})
}

func (o Options) duration() time.Duration { return time.Duration(o.Seconds * float64(time.Second)) }

// Validate reports what no measurement can work with, as a *run.UsageError.
func (o Options) Validate() error {
	switch {
	case o.Threads < 0 || o.Threads > cpu.MaxThreads:
		return usage("--threads %d: want 0 for all processors, or up to %d", o.Threads, cpu.MaxThreads)
	case !(o.Seconds > 0 && o.Seconds <= 1e6):
		return usage("--seconds %g: want more than 0", o.Seconds)
	}
	return nil
}

func usage(format string, args ...any) error {
	return &run.UsageError{Err: fmt.Errorf(format, args...)}
}

// interrupted is how a measurement ends that was stopped from outside.
type interrupted struct{ err error }

func (e interrupted) Error() string { return "interrupted; the lines above are whole measurements" }

func (e interrupted) Unwrap() error { return e.err }

// ended returns an error once ctx is done.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return interrupted{err}
	}
	return nil
}
