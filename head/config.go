package head

import (
	"fmt"
	"reflect"

	"github.com/calm-go/calm/config"
)

// Config holds the keys of config.json that concern the head. The language model's Config embeds it. In JSON the keys
// of Options are in the same object as the others. config.Set and config.Decode change ModelType and Options together.
type Config struct {
	ModelType  string  `json:"model_type"`  // name of the head's kind, Kind.Name
	NumSamples int     `json:"num_samples"` // N, samples (energy) or targets a position in training, Kind.MinSamples to 4,096
	Options    Options // the kind's own keys
}

// Default is the energy head of the published models.
func Default() Config { return DefaultOf(EnergyType) }

// DefaultOf is the head of that kind with its default options. If there is no such kind, Options is nil.
func DefaultOf(name string) Config {
	k, _ := Lookup(name)
	return Config{ModelType: name, NumSamples: max(defaultSamples, k.MinSamples), Options: k.Options}
}

// Choices returns the kinds, for package config.
func (Config) Choices() (key string, values []config.Choice) {
	for _, k := range Kinds() {
		values = append(values, config.Choice{Name: k.Name, Keys: k.Options, Ignored: k.Ignored})
	}
	return "model_type", values
}

const (
	defaultSamples = 8
	maxSamples     = 4096 // limits the time and the memory that a typing error can cost
)

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	k, ok := Lookup(c.ModelType)
	switch {
	case !ok:
		config.OneOf(&p, "model_type", c.ModelType, Names()...)
	case reflect.TypeOf(c.Options) != reflect.TypeOf(k.Options):
		p.Add("model_type", c.ModelType, fmt.Sprintf("want Options of type %T, have %T", k.Options, c.Options))
	}
	config.Within(&p, "num_samples", c.NumSamples, max(1, k.MinSamples), maxSamples)
	if c.Options != nil {
		p.Join(c.Options.Validate())
	}
	return p.Err()
}
