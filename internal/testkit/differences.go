package testkit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// FiniteDifferences compares the gradient of a training program, one parameter at a time, with central differences of
// its loss: see Differences.
func FiniteDifferences(t testing.TB, p *cpu.Program, ps *nn.Params) {
	t.Helper()
	if err := Differences(p, ps); err != nil {
		t.Error(err)
	}
}

// Differences compares gradients with central differences. The program's inputs must be filled; its random draws are the same in
// every run. The direction of a difference is the gradient, which gives a large slope, plus noise of the same size, which reveals
// missing parts of the gradient. Parameters that the loss does not depend on must not change it.
func Differences(p *cpu.Program, ps *nn.Params) error {
	p.SetDraws(7, 7)
	if err := p.Step(false); err != nil {
		return err
	}
	gradients := map[*nn.Param][]float32{}
	for _, param := range ps.Trainable() {
		gradients[param] = append([]float32{}, p.Grad(param)...)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	checked := 0
	var wrong []error
	for _, param := range ps.Trainable() {
		large, err := checkParam(p, param, gradients[param], rng)
		if wrong = append(wrong, err); large {
			checked++
		}
	}
	if checked < len(gradients)*2/3 {
		wrong = append(wrong, fmt.Errorf("only %d of %d parameters have a gradient large enough to check", checked, len(gradients)))
	}
	return errors.Join(wrong...)
}

// checkParam checks the gradient of one parameter. It also reports whether the gradient is well above the rounding errors of the
// loss.
func checkParam(p *cpu.Program, param *nn.Param, gradient []float32, rng *rand.Rand) (large bool, err error) {
	const (
		change    = 4e-3 // relative change of the loss to aim at
		largest   = 5e-3 // largest root mean square of a step
		tolerance = 1e-2 // relative, of the slope
		rounding  = 1e-6 // relative rounding error of the loss
	)
	direction, slope := make([]float64, param.Size()), 0.
	rms := 0.
	for _, g := range gradient {
		rms += float64(g) * float64(g) / float64(len(gradient))
	}
	rms = math.Sqrt(rms)
	for i := range direction {
		direction[i] = rng.NormFloat64()
		if rms > 0 {
			direction[i] += float64(gradient[i]) / rms
			slope += float64(gradient[i]) * direction[i]
		}
	}
	loss := math.Abs(p.Loss())
	h := largest
	if s := math.Abs(slope); s > 0 {
		h = min(h, change*loss/s)
	}
	central := func(h float64) float64 {
		up, errUp := lossAt(p, param, direction, h)
		down, errDown := lossAt(p, param, direction, -h)
		err = errors.Join(err, errUp, errDown)
		return (up - down) / (2 * h)
	}
	measured := (4*central(h/2) - central(h)) / 3 // Richardson extrapolation: removes the error of order h^2
	noise := rounding * loss / h
	if math.Abs(measured-slope) > tolerance*math.Abs(slope)+noise {
		err = errors.Join(err, fmt.Errorf("%s: the loss has slope %.5g, the gradient says %.5g (step %.2g)", param.Name, measured, slope, h))
	}
	return math.Abs(slope) > 5*noise, err
}

// lossAt returns the loss with the parameter moved by h times direction. It restores the parameter.
func lossAt(p *cpu.Program, param *nn.Param, direction []float64, h float64) (float64, error) {
	kept := append([]float32{}, param.Data...)
	for i := range param.Data {
		param.Data[i] += float32(h * direction[i])
	}
	err := p.Forward()
	copy(param.Data, kept)
	return p.Loss(), err
}
