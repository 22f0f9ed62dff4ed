package train

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Trainer makes optimizer steps. Its results depend only on the objective's parameters, the optimizer's moments, the
// configuration, the batches and the number of the step. So State and Steps are all that a checkpoint needs.
type Trainer struct {
	Config    Config       // may change between steps, except the sizes of a batch and the seed
	Objective *Objective   // what is trained
	Program   *cpu.Program // the compiled objective

	optimizer *cpu.AdamW
	auxiliary map[*nn.Param]bool // parameters of the auxiliary loss, saved with the optimizer's state
	batch     []int32            // [B, T]
	step      int                // steps made
}

// Report is what a step did.
type Report struct {
	Step         int             // the step's number, from 1
	Loss         float64         // the loss, mean over accumulated batches
	GradNorm     float64         // L2 norm of the gradients of all parameters together, before clipping
	LearningRate float64         // learning rate of this step
	Metrics      []metric.Metric // metrics of the last accumulated batch
	Without      bool            // the auxiliary loss was off; false where the objective has none
}

// New compiles the objective for training. Training starts from the parameters' present values, which must be allocated.
// The error is a *cpu.MemoryError where memory does not suffice for a batch.
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

// momentBytes is the size of AdamW's two moments of a weight.
const momentBytes = 8

// Enough returns a *cpu.MemoryError where memory does not suffice for weights, gradients and AdamW's moments.
func Enough(params *nn.Params) error {
	all, trained := params.Count()
	return cpu.Enough(fmt.Sprintf("training %.3g parameters", float64(trained)), 4*float64(all)+(4+momentBytes)*float64(trained))
}

// Steps returns the number of steps made.
func (t *Trainer) Steps() int { return t.step }

// Step makes one optimizer step of a run of total steps (0: not known yet). next fills dst with the ids [B, T] of the next
// batch; it is called GradientAccumulationSteps times. After an error the parameters are unchanged. The error is a
// *DivergedError where the loss or the gradient is not finite.
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

// DivergedError is returned when a step's loss or gradient is not finite. The step was not made: it changed no parameter.
type DivergedError struct {
	Step     int     // the step's number, from 1
	Loss     float64 // the loss, mean over accumulated batches
	GradNorm float64 // L2 norm of the gradients before clipping; it or the loss is NaN or infinite
}

// Error names the step, its loss and gradient norm, and says what to do.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("training diverged at step %d (loss %v, gradient norm %v): lower learning_rate or max_grad_norm, or raise warmup_steps",
		e.Step, e.Loss, e.GradNorm)
}

// Prefixes of the names that a parameter's moments have.
const (
	firstMoment  = "exp_avg."
	secondMoment = "exp_avg_sq."
)

// Tensor is a tensor of a trainer's state.
type Tensor struct {
	Name  string    // a parameter's name; with the prefix exp_avg. or exp_avg_sq. one of its moments
	Shape []int     // that of the parameter
	Data  []float32 // the trainer's own memory, row-major
	// TrainingOnly is true where the trained model does not need the tensor: for parameters of the auxiliary loss, and for
	// moments.
	TrainingOnly bool
}

// State lists the tensors that training continues from: all parameters, and the optimizer's moments. With the number of steps
// made they are the trainer's whole state. To restore a state, write to the tensors and call SetSteps.
func (t *Trainer) State() []Tensor {
	var list []Tensor
	for _, p := range t.Objective.Params.All() {
		list = append(list, Tensor{p.Name, p.Shape, p.Data, t.auxiliary[p]})
	}
	t.optimizer.Moments(func(p *nn.Param, m, v []float32) {
		list = append(list, Tensor{firstMoment + p.Name, p.Shape, m, true}, Tensor{secondMoment + p.Name, p.Shape, v, true})
	})
	return list
}

// SetSteps sets the number of steps made, 0 or more, after a state was restored.
func (t *Trainer) SetSteps(n int) { t.step = n }
