package head

import (
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/nn"
)

// Kind describes a kind of head: how it is configured, built, measured, costed and exported. No other package has a
// list of kinds.
type Kind struct {
	// Name is the value of model_type: lower-case letters, digits and underscores.
	Name string
	// Options are the default values of the keys that this kind adds to config.json: a struct, not a pointer. A file
	// that lacks some of the keys gets these values.
	Options Options
	// Ignored names keys that this kind does not have but a file may hold; see config.Ignored.
	Ignored config.Ignored
	// New declares the parameters in ps and returns the head: hidden size D, latent size Z, and the standard deviation
	// (initializer_range) of initial weights. The options are of the same type as Options, and valid.
	New func(o Options, hidden, latent int, std float64, ps *nn.Params) Head
	// Prefix begins the names of all of the head's parameters, and of no others of the language model.
	Prefix string

	// Metrics are the scalars that Loss.Metrics has, in its order; the first is the loss itself.
	Metrics []Metric
	// MinSamples is the smallest num_samples that the loss is defined for; 0 means 1.
	MinSamples int
	// ScoresSamples says that the loss is made of samples of the head, [Loss.Samples]. Then a measurement takes the
	// samples for BrierLM from it, and mse_anchor applies. Else they are drawn with a Sampler.
	ScoresSamples bool
	// StopsGradient says that part of the loss's gradient is left out by definition, so that it is not the derivative
	// of the loss.
	StopsGradient bool

	// SamplingKeys are the keys of Options that only sampling depends on. They can be changed for a trained model.
	SamplingKeys []string

	// Reference says what the PyTorch reference calls a language model with this head, or why it has none.
	Reference Reference
}

// Options are the values of a kind's own keys: a struct whose fields carry JSON keys, see package config.
type Options interface {
	// Validate reports everything that is wrong, as a *config.Error.
	Validate() error
}

// Metric is a scalar of a head's loss.
type Metric struct {
	Name string // its key in metrics.jsonl and in calm eval --json
	Doc  string // what it means, with its unit: one sentence without the name
}

// Reference is the counterpart of a kind in the PyTorch reference. Either Class or None is set.
type Reference struct {
	// Class is the reference's class, the value of architectures in its config.json.
	Class string
	// Alias begins the names under which the reference holds the head's parameters a second time; "" where it does not.
	// They are read from either name and written under both.
	Alias string
	// None says why such a model cannot be exported: a clause that follows "because".
	None string
}

// builtin are calm's kinds, in the order in which they are listed to users. A new one adds its line.
var builtin = []Kind{
	energyKind,
	diffusionKind,
	flowKind,
}

// registered are the kinds of other modules.
var registered struct {
	sync.RWMutex
	kinds []Kind
}

// Kinds lists all kinds: calm's, then those that were registered.
func Kinds() []Kind {
	registered.RLock()
	defer registered.RUnlock()
	return append(slices.Clone(builtin), registered.kinds...)
}

// Names lists the names of Kinds.
func Names() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Lookup returns the kind of that name.
func Lookup(name string) (Kind, bool) {
	kinds := Kinds()
	if i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return kinds[i], true
	}
	return Kind{}, false
}

// Register adds a kind from another module. A program does this in main, a test where it begins, before a configuration
// is read. The error says what the description lacks, or that a kind of that name exists.
func Register(k Kind) error {
	if err := k.check(); err != nil {
		return fmt.Errorf("register the head %q: %w", k.Name, err)
	}
	if _, ok := Lookup(k.Name); ok {
		return fmt.Errorf("register the head %q: a kind of that name exists", k.Name)
	}
	registered.Lock()
	defer registered.Unlock()
	registered.kinds = append(registered.kinds, k)
	return nil
}

var (
	goodName   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	goodPrefix = regexp.MustCompile(`^[a-z][a-z0-9_.]*\.$`)
)

// check reports the first thing that is missing or contradicts another.
func (k Kind) check() error {
	switch r := k.Reference; {
	case !goodName.MatchString(k.Name):
		return fmt.Errorf("its Name: want lower-case letters, digits and underscores")
	case k.Options == nil:
		return fmt.Errorf("it has no Options: want a struct of its keys, which may be empty")
	case k.New == nil:
		return fmt.Errorf("it has no New")
	case !goodPrefix.MatchString(k.Prefix):
		return fmt.Errorf("its Prefix is %q: want lower-case letters, digits and underscores, and a dot at the end", k.Prefix)
	case len(k.Metrics) == 0:
		return fmt.Errorf("it has no Metrics: want the loss at least")
	case (r.Class == "") == (r.None == ""):
		return fmt.Errorf("its Reference: want either Class, or in None the reason why there is none")
	case k.ScoresSamples && k.MinSamples < 1:
		return fmt.Errorf("its MinSamples: want the smallest number of samples that its loss can score")
	}
	for _, m := range k.Metrics {
		if !goodName.MatchString(m.Name) || m.Doc == "" {
			return fmt.Errorf("its metric %q: want lower-case letters, digits and underscores, and a Doc", m.Name)
		}
	}
	keys := config.Keys(k.Options)
	for _, key := range k.SamplingKeys {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("its SamplingKeys name %q, which its Options do not have", key)
		}
	}
	return k.Options.Validate()
}

// SamplingSteps is the key that sets the number of steps of a draw, for the kinds whose SamplingKeys have it.
const SamplingSteps = "sampling_steps"

// TakesSteps says whether the number of steps of a draw is set by SamplingSteps.
func (k Kind) TakesSteps() bool { return slices.Contains(k.SamplingKeys, SamplingSteps) }

// SamplingKeys lists the sampling keys of all kinds.
func SamplingKeys() []string {
	var keys []string
	for _, k := range Kinds() {
		for _, key := range k.SamplingKeys {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}
