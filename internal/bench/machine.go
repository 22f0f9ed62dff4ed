package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn/cpu"
)

// kernelsOf returns the kernels of an instruction set of the engine.
func kernelsOf(isa cpu.ISA) kernel.ISA {
	k, err := kernel.ParseISA(isa.String())
	if err != nil {
		panic(err) // not reached: both packages have the same names
	}
	return k
}

// fmaPeak returns a function that measures for a duration the rate of multiply-adds on registers, in FLOP/s over all threads.
func fmaPeak(isa cpu.ISA, threads int) func(time.Duration) float64 {
	kernels := kernelsOf(isa)
	const chunk = 2000 // iterations: 10 to 50 µs on vectors
	return func(d time.Duration) float64 {
		return onThreads(threads, func(int) float64 {
			start, n := time.Now(), 0
			for time.Since(start) < d || n == 0 {
				kernels.FMAPeak(chunk)
				n += chunk
			}
			return float64(n) * float64(kernels.FMAPeakFLOPs()) / time.Since(start).Seconds()
		})
	}
}

// readBytes is the size of the slice that readPeak reads. It is larger than the processor's caches.
const readBytes = 256 << 20

// readPeak returns a function that measures for a duration the rate of reading memory, in bytes/s over all threads. Each call
// continues where the last one ended, so that it does not read from the caches.
func readPeak(isa cpu.ISA, threads int) func(time.Duration) float64 {
	kernels := kernelsOf(isa)
	const chunk = 1 << 16 // elements
	memory := cpu.AlignedFloats(readBytes / 4)
	for i := range memory {
		memory[i] = 1 // the system maps all unwritten pages to one page of zeros
	}
	at := make([]int, threads)
	return func(d time.Duration) float64 {
		return onThreads(threads, func(w int) float64 {
			mine := memory[len(memory)/threads*w : len(memory)/threads*(w+1)]
			start, n := time.Now(), 0
			for time.Since(start) < d || n == 0 {
				if at[w]+chunk > len(mine) {
					at[w] = 0
				}
				part := mine[at[w]:min(at[w]+chunk, len(mine))]
				kernels.ReadSum(part)
				n += 4 * len(part)
				at[w] += chunk
			}
			return float64(n) / time.Since(start).Seconds()
		})
	}
}

// onThreads runs f(0), f(1), .. in parallel and returns the sum of their results.
func onThreads(threads int, f func(w int) float64) float64 {
	rates := make([]float64, threads)
	var wg sync.WaitGroup
	for w := range threads {
		wg.Go(func() { rates[w] = f(w) })
	}
	wg.Wait()
	var sum float64
	for _, r := range rates {
		sum += r
	}
	return sum
}

// forgetPeakRSS returns unused memory to the system, and resets the system's record of the process's max memory where the
// system can do that.
func forgetPeakRSS() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200)
}

// peakRSS returns the max memory of the process, in 10^6 bytes. It returns 0 on systems other than Linux.
func peakRSS() float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) == 3 && f[0] == "VmHWM:" && f[2] == "kB" {
			kib, _ := strconv.ParseFloat(f[1], 64)
			return kib * 1024 / 1e6
		}
	}
	return 0
}

// Machine returns a line that describes the machine and its load.
func Machine(o Options) string {
	e := o.engine(o.Threads)
	defer e.Close()
	line := fmt.Sprintf("%s, %d of %s, %s/%s, %s", e.ISA(), e.Threads(), plural.Count(runtime.NumCPU(), "processor"), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if name := Processor(); name != "" {
		line = name + ", " + line
	}
	if load, ok := Load(); ok {
		line += fmt.Sprintf(", load %.2f before (other programs slow this one down)", load)
	}
	return line
}

// Processor returns the processor's name, "" where the system does not tell (only Linux does).
func Processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Load returns the system's load average of the last minute, and whether the system tells (only Linux does).
func Load() (float64, bool) {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(data), " ")
	load, err := strconv.ParseFloat(first, 64)
	return load, err == nil
}
