package lm

import (
	"encoding/json"

	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
)

// HeadMetrics are the metrics of the head that was measured, the loss first; head.Kind documents what they mean.
type HeadMetrics []metric.Metric

// Value returns the metric of that name; 0 if the head has no such metric.
func (m HeadMetrics) Value(name string) float64 {
	for _, x := range m {
		if x.Name == name {
			return x.Value
		}
	}
	return 0
}

// AddTo adds the metrics to a JSON object that has other members, each under its name.
func (m HeadMetrics) AddTo(object []byte) ([]byte, error) {
	for _, x := range m {
		member, err := json.Marshal(map[string]float64{x.Name: x.Value})
		if err != nil {
			return nil, err
		}
		object = append(object[:len(object)-1], ',')
		object = append(object, member[1:]...)
	}
	return object, nil
}

// MarshalJSON writes the measurement as one object, with a key for each of the head's metrics.
func (r Measurement) MarshalJSON() ([]byte, error) {
	type plain Measurement // without this method
	object, err := json.Marshal(plain(r))
	if err != nil {
		return nil, err
	}
	return r.Head.AddTo(object)
}

// tokenScores sums the losses and Brier scores of auxiliary heads.
type tokenScores struct {
	loss   float64
	briers []float64 // one a head
}

// add adds the means of the last run, which are over that many positions.
func (s *tokenScores) add(v nn.Values, heads []*nn.CrossEntropy, positions float64) {
	for i, h := range heads {
		s.loss += positions * float64(v.Scalar(h.Loss)) / float64(len(heads))
		s.briers[i] += positions * float64(v.Scalar(h.Brier))
	}
}

// mean returns the means over all positions; nothing without heads.
func (s *tokenScores) mean(positions float64) (loss float64, briers []float64) {
	for _, b := range s.briers {
		briers = append(briers, 100*b/positions)
	}
	return s.loss / positions, briers
}
