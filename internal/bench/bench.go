// Package bench measures the speed of calm on this machine: matrix products, training steps, generation, BrierLM and
// tokenizers.
//
// A rate is compared with the machine's peak: the rate of multiply-adds on registers, or of reading a large slice. The peak is
// measured alternately with the rate and on the same number of threads. A busy or throttled machine slows both, so their ratio
// means the same on every machine. Times are medians.
package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// Result is one measurement, a line of `calm bench --json`. Fields that do not apply are 0, and not in the JSON.
type Result struct {
	Name     string  `json:"name"`      // the measurement, such as train/lm-bytes
	Shape    string  `json:"shape"`     // sizes of its input
	Threads  int     `json:"threads"`   // number of threads
	ISA      string  `json:"isa"`       // instruction set
	MSMedian float64 `json:"ms_median"` // median time of a run, in ms
	Runs     int     `json:"runs"`      // number of timed runs

	FLOPs          float64 `json:"flops,omitempty"`            // multiplications and additions of a run's matrix products
	GFLOPs         float64 `json:"gflops,omitempty"`           // 10^9 FLOPs per second
	PeakGFLOPs     float64 `json:"peak_gflops,omitempty"`      // peak: multiply-adds on registers, on as many threads
	FractionOfPeak float64 `json:"fraction_of_peak,omitempty"` // GFLOPs / PeakGFLOPs
	Speedup        float64 `json:"speedup,omitempty"`          // over one thread, or LoopMS / MSMedian

	// For BrierLM: times of loops over positions that compute the same scores. LoopMS reads the prefix of each position
	// again; CachedLoopMS keeps the prefix in a cache.
	LoopMS         float64 `json:"loop_ms,omitempty"`
	CachedLoopMS   float64 `json:"cached_loop_ms,omitempty"`
	OverCachedLoop float64 `json:"over_cached_loop,omitempty"` // CachedLoopMS / MSMedian
	Rollouts       float64 `json:"rollouts,omitempty"`         // further patches drawn after samples, for each position

	TokensPerS   float64 `json:"tokens_per_s,omitempty"`   // tokens per second
	BytesPerStep float64 `json:"bytes_per_step,omitempty"` // bytes of weights that a step reads
	GBPerS       float64 `json:"gb_per_s,omitempty"`       // 10^9 bytes of weights per second
	PeakGBPerS   float64 `json:"peak_gb_per_s,omitempty"`  // peak: reading a slice larger than the caches, on as many threads

	// For generation, means for each patch.
	Draws          float64 `json:"draws,omitempty"`            // number of draws
	TokensPerDraw  float64 `json:"tokens_per_draw,omitempty"`  // tokens of a draw that were decoded, at most K
	BackboneMS     float64 `json:"backbone_ms,omitempty"`      // time to read the patch before, in ms
	HeadMS         float64 `json:"head_ms,omitempty"`          // time to draw noise and latent vectors, in ms
	DecoderPatchMS float64 `json:"decoder_patch_ms,omitempty"` // time of the part of the decoder that runs once for each draw, in ms
	DecoderTokenMS float64 `json:"decoder_token_ms,omitempty"` // time of the part that runs for each token, with the vocabulary, in ms

	// For texts that are written at the same time. MSMedian is the time from a patch to the next, as means over four patches.
	MSP95      float64 `json:"ms_p95,omitempty"`       // 95th percentile of the time from a patch to the next, in ms
	MSP99      float64 `json:"ms_p99,omitempty"`       // 99th percentile of it, in ms
	FirstMS    float64 `json:"first_ms,omitempty"`     // median time from the beginning of a text to its first patch, in ms
	FirstMSP95 float64 `json:"first_ms_p95,omitempty"` // its 95th percentile, in ms
	FirstMSP99 float64 `json:"first_ms_p99,omitempty"` // its 99th percentile, in ms
	OverOne    float64 `json:"over_one,omitempty"`     // TokensPerS / that of the first number of streams

	MBPerS    float64 `json:"mb_per_s,omitempty"`    // 10^6 bytes of text per second
	PeakRSSMB float64 `json:"peak_rss_mb,omitempty"` // max memory of the process, in 10^6 bytes

	// For a training step compared with the times of another program (TrainOptions.Peer).
	Peer     string  `json:"peer,omitempty"`      // the other program, and the processor that it ran on
	PeerMS   float64 `json:"peer_ms,omitempty"`   // its median time for the same step on as many threads, in ms
	PeerLoad float64 `json:"peer_load,omitempty"` // the system's load average during its measurement
	OverPeer float64 `json:"over_peer,omitempty"` // PeerMS / MSMedian

	// For a line of a profile: the operations of one kind in a training step.
	Count      int     `json:"count,omitempty"`       // number of operations
	ForwardMS  float64 `json:"forward_ms,omitempty"`  // median time of their forward passes, in ms
	BackwardMS float64 `json:"backward_ms,omitempty"` // median time of their backward passes, in ms
	Share      float64 `json:"share,omitempty"`       // share of the step's time, 0 to 1

	// Only in JSON; a table has them in a line above it.
	Processor string  `json:"processor,omitempty"` // name of the processor
	Load      float64 `json:"load,omitempty"`      // the system's load average over the minute before the end of the measurement
}

// Options are common to all measurements.
type Options struct {
	Threads int          // number of threads; 0 for all processors
	ISA     string       // name of an instruction set, as cpu.ISAs lists them; "" for the best of this machine
	Seconds float64      // time for each measurement, more than 0; at least one run is made
	Emit    func(Result) // receives each result
}

func (o Options) engine(threads int) *cpu.Engine {
	isa, _ := o.instructionSet() // Validate has checked it
	return cpu.New(cpu.Options{Threads: threads, ISA: isa})
}

// instructionSet returns the instruction set that the options name, and whether this machine has it.
func (o Options) instructionSet() (cpu.ISA, bool) {
	for _, isa := range cpu.ISAs() {
		if isa.String() == o.ISA {
			return isa, true
		}
	}
	return cpu.ISA{}, o.ISA == ""
}

func (o Options) duration() time.Duration { return time.Duration(o.Seconds * float64(time.Second)) }

// Validate returns a *run.UsageError for options out of range.
func (o Options) Validate() error {
	_, known := o.instructionSet()
	switch {
	case !known:
		return usage("--isa %s: this machine has %v", o.ISA, cpu.ISAs())
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

// interrupted is the error of a measurement whose context has ended.
type interrupted struct{ err error }

func (e interrupted) Error() string { return "interrupted; the lines above are complete measurements" }

func (e interrupted) Unwrap() error { return e.err }

// ended returns an error if ctx has ended.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return interrupted{err}
	}
	return nil
}
