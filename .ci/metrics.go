//go:build ignore

// Metrics checks the values in a file written by `calm quickstart --json FILE`:
//
//	go run .ci/metrics.go FILE AE,LM name=low:high ..
//
// AE,LM are the numbers of steps that must have been made. A name is a path into the file's object, with dots: lm.brier.0 is
// the first element of brier in lm. Its value must be in [low, high].
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: metrics FILE AE,LM name=low:high ..")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(1)
	}
}

func check(path, steps string, bands []string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i, want := range strings.Split(steps, ",") {
		if made, err := find(all, fmt.Sprintf("steps.%d", i)); err != nil || strconv.FormatFloat(made, 'f', -1, 64) != want {
			return fmt.Errorf("%g steps were made, want %s (%v)", made, want, err)
		}
	}
	failed := false
	for _, band := range bands {
		name, limits, _ := strings.Cut(band, "=")
		low, high, ok := strings.Cut(limits, ":")
		lo, errLow := strconv.ParseFloat(low, 64)
		hi, errHigh := strconv.ParseFloat(high, 64)
		if !ok || errLow != nil || errHigh != nil {
			return fmt.Errorf("%q: want name=low:high", band)
		}
		v, err := find(all, name)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		verdict := "ok"
		if !(v >= lo && v <= hi) {
			verdict, failed = "OUT OF BAND", true
		}
		fmt.Printf("%-20s %10.4f  in [%g, %g]: %s\n", name, v, lo, hi, verdict)
	}
	if failed {
		return fmt.Errorf("the quickstart's metrics are out of their bands")
	}
	return nil
}

// find returns the number at a path with dots.
func find(v any, path string) (float64, error) {
	for key := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(in) {
				return 0, fmt.Errorf("no value at %s", path)
			}
			v = in[i]
		default:
			return 0, fmt.Errorf("no value at %s", path)
		}
	}
	n, ok := v.(float64)
	if !ok {
		return 0, fmt.Errorf("%s is not a number", path)
	}
	return n, nil
}
