package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Trainer makes optimizer steps. All it does follows from the objective's parameters, the configuration, the batches
// and the number of the step, so that Tensors and Steps are all a checkpoint needs.
type Trainer struct {
	Config    Config // may change between steps, but for the sizes of a batch and the seed
	Objective *Objective
	Program   *cpu.Program // the compiled objective

	optimizer *cpu.AdamW
	auxiliary map[*nn.Param]bool // parameters of the auxiliary loss, saved with the optimizer's state
	batch     []int32            // [B, T]
	step      int                // steps made
}

// Report is what a step did.
type Report struct {
	Step         int             // the step's number, from 1: the steps made with it
	Loss         float64         // what is minimised, mean over accumulated batches
	GradNorm     float64         // L2 norm of all gradients together, before clipping
	LearningRate float64         // of this step
	Metrics      []metric.Metric // metrics of the last accumulated batch
	Without      bool            // the auxiliary loss was off; false where there is none
}

// New compiles the objective for training from its parameters' present values, which must be there. It returns a
// *cpu.MemoryError where a batch does not fit beside them.
func New(eng *cpu.Engine, o *Objective, c Config) (*Trainer, error) {
	all, trained := o.Params.Count()
	program, err := eng.CompileWithin(o.Graph, cpu.Training, cpu.Memory()-4*float64(all)-momentBytes*float64(trained))
	if err != nil {
		return nil, fmt.Errorf("%w: make batch_size or block_size smaller, and gradient_accumulation_steps larger", err)
	}
	t := &Trainer{Config: c, Objective: o, Program: program, auxiliary: map[*nn.Param]bool{}}
	if o.Auxiliary != nil {
		for _, p := range o.Auxiliary.Params {
			t.auxiliary[p] = true
		}
	}
	t.optimizer = cpu.NewAdamW(t.Program)
	t.batch = make([]int32, c.BatchSize*c.BlockSize)
	return t, nil
}

// momentBytes are those of AdamW's two for each weight.
const momentBytes = 8

// Enough returns a *cpu.MemoryError where there is too little memory for weights, gradients and AdamW's moments.
func Enough(params *nn.Params) error {
	all, trained := params.Count()
	return cpu.Enough(fmt.Sprintf("training %.3g parameters", float64(trained)), 4*float64(all)+(4+momentBytes)*float64(trained))
}

// Steps returns the number of steps made.
func (t *Trainer) Steps() int { return t.step }

// Step makes one optimizer step of a run of total steps (0: not known) on batches that next fills, [B, T] each. After
// an error the parameters are as they were.
func (t *Trainer) Step(total int, next func(dst []int32) error) (Report, error) {
	c := t.Config
	r := Report{Step: t.step + 1, LearningRate: c.LearningRateAt(t.step+1, total)}
	if a := t.Objective.Auxiliary; a != nil {
		r.Without = !a.on(t.step, total)
		a.Switch(!r.Without)
	}
	for i := range c.GradientAccumulationSteps {
		if err := next(t.batch); err != nil {
			return r, err
		}
		if err := t.Objective.Fill(t.Program, t.batch); err != nil {
			return r, err
		}
		t.Program.SetDraws(c.Seed, uint64(t.step*c.GradientAccumulationSteps+i))
		if err := t.Program.Step(i > 0); err != nil {
			return r, err
		}
		r.Loss += t.Program.Loss() / float64(c.GradientAccumulationSteps)
	}
	mean := 1 / float64(c.GradientAccumulationSteps)
	r.GradNorm = t.optimizer.GradNorm() * mean
	if !finite(r.Loss) || !finite(r.GradNorm) {
		return r, &DivergedError{Step: r.Step, Loss: r.Loss, GradNorm: r.GradNorm}
	}
	scale := mean
	if c.MaxGradNorm > 0 {
		scale *= min(1, c.MaxGradNorm/(r.GradNorm+1e-6))
	}
	t.step++
	adam := cpu.AdamWConfig{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Epsilon: c.AdamEpsilon, WeightDecay: c.WeightDecay}
	t.optimizer.Step(adam, r.LearningRate, t.step, scale)
	r.Metrics = t.Objective.Metrics(t.Program)
	return r, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// DivergedError says that a step gave no finite loss or gradient. It was not made: no parameter has been changed by it.
type DivergedError struct {
	Step           int // the step's number, from 1, as in Report
	Loss, GradNorm float64
}

// Error says at which step, with which loss and norm, and what to do.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("training diverged at step %d: the loss is %v and the gradient's norm %v; lower learning_rate or max_grad_norm, or raise warmup_steps",
		e.Step, e.Loss, e.GradNorm)
}

// Names in optimizer.safetensors: the moments of a parameter.
const (
	firstMoment  = "exp_avg."
	secondMoment = "exp_avg_sq."
)

// Tensors returns the model's parameters, and what only training needs: parameters of the auxiliary loss and the
// optimizer's moments. The slices are the live ones.
func (t *Trainer) Tensors() (model, optimizer []checkpoint.Tensor) {
	for _, p := range t.Objective.Params.All() {
		tensor := checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Data}
		if t.auxiliary[p] {
			optimizer = append(optimizer, tensor)
		} else {
			model = append(model, tensor)
		}
	}
	t.optimizer.Moments(func(p *nn.Param, m, v []float32) {
		optimizer = append(optimizer,
			checkpoint.Tensor{Name: firstMoment + p.Name, Shape: p.Shape, Data: m},
			checkpoint.Tensor{Name: secondMoment + p.Name, Shape: p.Shape, Data: v})
	})
	return model, optimizer
}

// Restore puts back the parameters and moments of a checkpoint after that many steps. A tensor that it does not know is an
// error: the checkpoint is another model's, of which training on would throw a part away.
func (t *Trainer) Restore(step int, model, optimizer *checkpoint.File) error {
	known := map[string]bool{}
	for _, p := range t.Objective.Params.All() {
		known[p.Name] = true
		from := model
		if t.auxiliary[p] {
			from = optimizer
		}
		if err := from.ReadFloat32(p.Name, p.Data); err != nil {
			return err
		}
	}
	var failed error
	t.optimizer.Moments(func(p *nn.Param, m, v []float32) {
		known[firstMoment+p.Name], known[secondMoment+p.Name] = true, true
		if failed == nil {
			failed = optimizer.ReadFloat32(firstMoment+p.Name, m)
		}
		if failed == nil {
			failed = optimizer.ReadFloat32(secondMoment+p.Name, v)
		}
	})
	t.step = step
	if failed != nil {
		return failed
	}
	isKnown := func(name string) bool { return known[name] }
	return errors.Join(model.Only(isKnown), optimizer.Only(isKnown))
}
