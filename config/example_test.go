package config_test

import (
	"fmt"

	"github.com/calm-go/calm/config"
)

type backbone struct {
	HiddenSize int `json:"hidden_size"`
	Heads      int `json:"num_attention_heads"`
}

// model is a configuration with three keys: those of the embedded struct are at the same level.
type model struct {
	backbone
	Beta float64 `json:"beta"`
}

func (m model) Validate() error {
	var p config.Problems
	config.Within(&p, "hidden_size", m.HiddenSize, 1, config.MaxWidth)
	config.Within(&p, "beta", m.Beta, 0.5, 2)
	return p.Err()
}

func ExampleCompose() {
	preset := model{backbone{HiddenSize: 128, Heads: 4}, 1}
	m, err := config.Compose(preset, "", []string{"hidden_size=256", "beta=1.5"})
	fmt.Println(m, err)
	_, err = config.Compose(preset, "", []string{"hiden_size=256", "beta=9"})
	fmt.Println(err)
	// Output:
	// {{256 4} 1.5} <nil>
	// 2 problems in the configuration:
	//   --set: hiden_size: unknown key; did you mean hidden_size?
	//   --set: beta = 9: want 0.5 to 2
}
