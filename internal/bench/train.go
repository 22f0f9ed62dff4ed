package bench

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// TrainOptions are the options of Train.
type TrainOptions struct {
	Options
	Model   run.Kind // kind of the presets; "" for the only kind that has a preset of that name
	Presets []string // names of presets; none for defaultTrain
	Set     []string // key=value assignments to the presets' keys
	Batch   int      // rows of a batch; 0 for the preset's
	Tokens  int      // tokens of a row; 0 for the preset's
	Profile bool     // also report the time of each kind of operation
	Peer    string   // file with another program's times to compare with; "" for none
}

// defaultTrain lists the presets that Train measures by default. They take little memory and time.
var defaultTrain = map[run.Kind][]string{
	"":     {"lm-bytes", "ae-bytes", "lm-proto", "ae-proto"},
	run.AE: {"ae-bytes", "ae-proto"},
	run.LM: {"lm-bytes", "lm-proto"},
	run.AR: {"ar-bytes", "ar-proto"},
}

// Train measures whole optimizer steps of [train.Trainer] with random weights and random ids: forward pass, backward pass,
// random draws, clipping and AdamW. Wrong options are a *run.UsageError or a *config.Error, before any measurement.
func Train(ctx context.Context, o TrainOptions) error {
	models, err := o.models()
	if err != nil {
		return err
	}
	peers, err := o.peers(models)
	if err != nil {
		return err
	}
	for i, m := range models {
		if err := o.measure(ctx, m, peers); err != nil {
			return fmt.Errorf("bench train %s: %w", m.name, err)
		}
		models[i] = nil // frees its weights
	}
	return nil
}

// models returns the models to measure. They have no weights yet.
func (o TrainOptions) models() ([]*model, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Batch < 0 || o.Tokens < 0 {
		return nil, usage("--batch %d, --tokens %d: want 0 for the preset's, or more", o.Batch, o.Tokens)
	}
	names := o.Presets
	if len(names) == 0 {
		names = defaultTrain[o.Model]
		if names == nil {
			return nil, usage("--model %q: want ae, lm or ar", o.Model)
		}
	}
	var models []*model
	for _, name := range names {
		m, err := newModel(name, o.Model, true, o.sets())
		if err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

func (o TrainOptions) sets() []string {
	sets := append([]string{}, o.Set...)
	if o.Batch > 0 {
		sets = append(sets, fmt.Sprintf("batch_size=%d", o.Batch))
	}
	if o.Tokens > 0 {
		sets = append(sets, fmt.Sprintf("block_size=%d", o.Tokens))
	}
	return sets
}

// measure measures one model, and compares it with its peer if there is one.
func (o TrainOptions) measure(ctx context.Context, m *model, peers map[string]peer) error {
	forgetPeakRSS()
	if err := train.Enough(m.Params); err != nil {
		return &run.UsageError{Err: err}
	}
	m.randomize()
	objective, err := m.Objective()
	if err != nil {
		return err
	}
	eng := o.engine(o.Threads)
	defer eng.Close()
	t, err := train.New(eng, objective, m.TrainConfig)
	if err != nil {
		return &run.UsageError{Err: err}
	}
	next := randomBatches(m)
	s := &series{peak: fmaPeak(eng.ISA(), eng.Threads()), run: func() error {
		_, err := t.Step(0, next)
		return err
	}}
	var p *profile
	if o.Profile {
		p = newProfile(t.Program, objective.Graph, m.GradientAccumulationSteps)
		s.run = p.step(s.run)
	}
	if err := measure(ctx, o.duration(), s); err != nil {
		return err
	}
	r := report(m, s, eng, objective)
	if other, ok := peers[m.name]; ok {
		other.compare(&r)
	}
	o.Emit(r)
	if p != nil {
		p.emit(r, o.Emit)
	}
	return nil
}

// report returns the result of a training step of m, without the comparison with another program.
func report(m *model, s *series, eng *cpu.Engine, objective *train.Objective) Result {
	r := s.result("train/"+m.name, m.shape(), eng.Threads(), eng.ISA().String())
	batches := float64(m.GradientAccumulationSteps)
	r.arithmetic(flops.Training(objective.Graph).Total()*batches, s.peaks)
	r.TokensPerS = float64(m.BatchSize*m.BlockSize) * batches / r.MSMedian * 1e3
	r.PeakRSSMB = peakRSS()
	return r
}

// randomBatches returns a function that fills batches with ids, uniformly distributed over the vocabulary.
func randomBatches(m *model) func([]int32) error {
	const kept = 8
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]int32, kept*m.BatchSize*m.BlockSize)
	for i := range ids {
		ids[i] = r.Int32N(int32(m.VocabSize()))
	}
	at := 0
	return func(dst []int32) error {
		at %= len(ids)
		at += copy(dst, ids[at:])
		return nil
	}
}
