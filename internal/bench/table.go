package bench

import (
	"fmt"
	"io"
	"strings"
)

// Table prints results as lines of a table.
type Table struct {
	W     io.Writer // receives the lines
	begun bool
}

// Print prints a result as a line. Before the first line it prints the names of the columns.
func (t *Table) Print(r Result) {
	if !t.begun {
		t.begun = true
		fmt.Fprintf(t.W, "%-30s %-26s %7s %11s %6s  %s\n", "", "shape", "threads", "median ms", "runs", "rates")
	}
	name := r.Name
	if r.Share > 0 || r.Count > 0 { // a line of a profile
		name = "  " + name[strings.LastIndex(name, "/")+1:]
		if r.Count > 1 {
			name = fmt.Sprintf("%s x%d", name, r.Count)
		}
	}
	fmt.Fprintf(t.W, "%-30s %-26s %7d %11.4g %6d  %s\n", name, r.Shape, r.Threads, r.MSMedian, r.Runs, strings.Join(rates(r), ", "))
}

// rates lists the rates of a result.
func rates(r Result) (list []string) {
	add := func(value float64, format string, args ...any) {
		if value != 0 {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(r.Share, "%.1f %% of the step", 100*r.Share)
	add(r.BackwardMS, "%.4g ms forward + %.4g backward", r.ForwardMS, r.BackwardMS)
	if r.PeakGFLOPs > 0 {
		add(r.GFLOPs, "%.4g GFLOP/s = %.0f %% of %.4g", r.GFLOPs, 100*r.FractionOfPeak, r.PeakGFLOPs)
	} else {
		add(r.GFLOPs, "%.4g GFLOP/s", r.GFLOPs)
	}
	if r.LoopMS > 0 {
		add(r.Speedup, "%.4g x a loop over positions (%.4g ms)", r.Speedup, r.LoopMS)
		add(r.OverCachedLoop, "%.4g x one with a cache (%.4g ms)", r.OverCachedLoop, r.CachedLoopMS)
		add(r.Rollouts, "%.3g rollouts a position", r.Rollouts)
	} else {
		add(r.Speedup, "%.2f x one thread", r.Speedup)
	}
	add(r.TokensPerS, "%.4g tokens/s", r.TokensPerS)
	add(r.OverOne, "%.3g x the first line", r.OverOne)
	add(r.MSP95, "p95 %.4g ms, p99 %.4g ms", r.MSP95, r.MSP99)
	add(r.FirstMS, "first patch %.4g ms, p95 %.4g ms, p99 %.4g ms", r.FirstMS, r.FirstMSP95, r.FirstMSP99)
	add(r.GBPerS, "%.4g MB of weights a step, %.3g GB/s (memory: %.3g)", r.BytesPerStep/1e6, r.GBPerS, r.PeakGBPerS)
	add(r.Draws, "draws: %.4g, tokens decoded of each: %.3g", r.Draws, r.TokensPerDraw)
	add(r.HeadMS, "ms: backbone %.3g, head %.3g, decoder %.3g by patch + %.3g by token", r.BackboneMS, r.HeadMS, r.DecoderPatchMS, r.DecoderTokenMS)
	add(r.MBPerS, "%.4g MB/s", r.MBPerS)
	add(r.PeakRSSMB, "max %.4g MB", r.PeakRSSMB)
	add(r.PeerMS, "%s %.4g ms (load %.3g): calm is %.2f x as fast", r.Peer, r.PeerMS, r.PeerLoad, r.OverPeer)
	return list
}
