//go:build ignore

// Figures checks what `calm quickstart --json FILE` measured: go run .ci/figures.go FILE AE,LM name=low:high ..
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/calm-go/calm/quickstart"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: figures FILE AE,LM name=low:high ..")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func check(path, steps string, bands []string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var f quickstart.Figures
	var head struct {
		FlowLoss float64 `json:"flow_loss"`
	}
	if err := errors.Join(json.Unmarshal(data, &f), json.Unmarshal(data, &head)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if made := fmt.Sprintf("%d,%d", f.Steps[0], f.Steps[1]); made != steps {
		return fmt.Errorf("%s steps were made, %s were asked for", made, steps)
	}
	measured := map[string]float64{
		"ae_accuracy": f.AEAccuracy, "ae_accuracy_noise03": f.AEAccuracyNoise03, "flow_loss": head.FlowLoss,
		"brier_1": f.Brier[0], "brier_2": f.Brier[1], "brier_3": f.Brier[2], "brier_4": f.Brier[3], "brier_lm": f.BrierLM,
		"unigram_brier_1": f.UnigramBrier1, "tokens_per_s": f.TokensPerS,
	}
	failed := false
	for _, band := range bands {
		name, limits, _ := strings.Cut(band, "=")
		low, high, ok := strings.Cut(limits, ":")
		lo, errLow := strconv.ParseFloat(low, 64)
		hi, errHigh := strconv.ParseFloat(high, 64)
		v, known := measured[name]
		if !ok || errLow != nil || errHigh != nil || !known {
			return fmt.Errorf("%q: want name=low:high", band)
		}
		verdict := "ok"
		if !(v >= lo && v <= hi) {
			verdict, failed = "OUT OF BAND", true
		}
		fmt.Printf("%-20s %10.4f  in [%g, %g]: %s\n", name, v, lo, hi, verdict)
	}
	if failed {
		return fmt.Errorf("what the quickstart learned is not what it was")
	}
	return nil
}
