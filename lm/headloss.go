package lm

import (
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// HeadLoss is the loss of a model's head on held-out text, as training minimises it: that of the head it has, the others
// are 0. The diffusion head's is the sum of its squared error and its variational bound in bits.
type HeadLoss struct {
	EnergyLoss    float64 `json:"energy_loss,omitzero"`
	FlowLoss      float64 `json:"flow_loss,omitzero"`
	DiffusionLoss float64 `json:"diffusion_loss,omitzero"`
	DiffusionMSE  float64 `json:"diffusion_mse,omitzero"`
	DiffusionVB   float64 `json:"diffusion_vb,omitzero"`
}

// HeadFigure is one of a HeadLoss's figures, under its name in JSON.
type HeadFigure struct {
	Name  string
	Value float64
}

// Figures lists the figures of the head that was measured, the loss first.
func (l HeadLoss) Figures() []HeadFigure {
	var all []HeadFigure
	for _, name := range []string{"energy_loss", "flow_loss", "diffusion_loss", "diffusion_mse", "diffusion_vb"} {
		if v := *l.figure(name); v != 0 {
			all = append(all, HeadFigure{name, v})
		}
	}
	return all
}

// figure returns the field of that name.
func (l *HeadLoss) figure(name string) *float64 {
	switch name {
	case "energy_loss":
		return &l.EnergyLoss
	case "flow_loss":
		return &l.FlowLoss
	case "diffusion_loss":
		return &l.DiffusionLoss
	case "diffusion_mse":
		return &l.DiffusionMSE
	case "diffusion_vb":
		return &l.DiffusionVB
	}
	panic("lm: a head has a figure " + name)
}

// tokenScores sums the figures of auxiliary heads.
type tokenScores struct {
	loss   float64
	briers []float64 // one a head
}

// add takes up the last run's means over that many positions.
func (s *tokenScores) add(p *cpu.Program, heads []*nn.CrossEntropy, positions float64) {
	for i, h := range heads {
		s.loss += positions * float64(p.Scalar(h.Loss)) / float64(len(heads))
		s.briers[i] += positions * float64(p.Scalar(h.Brier))
	}
}

// mean returns the means over all positions; nothing without heads.
func (s *tokenScores) mean(positions float64) (loss float64, briers []float64) {
	for _, b := range s.briers {
		briers = append(briers, 100*b/positions)
	}
	return s.loss / positions, briers
}
