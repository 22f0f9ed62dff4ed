package headtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// configuration: a file without the kind's keys gets the defaults, one that was written reads back, and values of the
// wrong type or beyond all bounds are refused, with the key named.
func configuration(s *subject) error {
	var wrong collected
	read := func(members string) (head.Config, error) {
		c, err := config.Decode(head.Config{}, "config.json", fmt.Appendf(nil, `{"model_type": %q, "num_samples": %d%s}`, s.kind.Name, s.numSamples(), members))
		if err == nil {
			err = c.Validate()
		}
		return c, err
	}
	c, err := read("")
	if err != nil || !reflect.DeepEqual(c.Options, s.kind.Options) {
		wrong.add("a file without the kind's keys gives %+v, %v; want %+v", c.Options, err, s.kind.Options)
	}
	text, err := config.Encode(c)
	if err != nil {
		return err
	}
	if again, err := config.Decode(head.Config{}, "config.json", text); err != nil || !reflect.DeepEqual(again, c) {
		wrong.add("%s reads back as %+v, %v", text, again, err)
	}
	if text, err = config.Encode(s.kind.Options); err != nil {
		return err
	}
	var defaults map[string]any
	if err := json.Unmarshal(text, &defaults); err != nil {
		return err
	}
	for key, v := range defaults {
		for _, bad := range badValues(v) {
			_, err := read(fmt.Sprintf(", %q: %s", key, bad))
			e, ok := errors.AsType[*config.Error](err)
			if !ok || !slices.ContainsFunc(e.Problems, func(p config.Problem) bool { return p.Key == key }) {
				wrong.add("%s = %s: error %v; want a *config.Error that names the key", key, bad, err)
			}
		}
	}
	return wrong.err()
}

// badValues are JSON values that a key with that default cannot have.
func badValues(v any) []string {
	switch v.(type) {
	case float64:
		return []string{"-1000000000000000000", "1000000000000000000", `"text"`, "null"}
	case string:
		return []string{`"no such value"`, "3", "null"}
	case bool:
		return []string{"3", "null"}
	}
	return []string{`{}`}
}

// reference: the kind names its class in the reference, which no other kind has, or says why there is none.
func reference(s *subject) error {
	r := s.kind.Reference
	if (r.Class == "") == (r.None == "") {
		return fmt.Errorf("the kind's Reference is %+v, want either Class or None", r)
	}
	for _, k := range head.Kinds() {
		if k.Name != s.kind.Name && r.Class != "" && k.Reference.Class == r.Class {
			return fmt.Errorf("the kinds %s and %s have one class of the reference, %s", k.Name, s.kind.Name, r.Class)
		}
	}
	return nil
}

// languageModel: a model with the head trains, and its measurement fills every sample with tokens.
func languageModel(s *subject) error {
	c, err := config.Set(testkit.TinyLM(), []string{"model_type=" + s.kind.Name, fmt.Sprintf("num_samples=%d", s.numSamples())})
	if err != nil {
		return err
	}
	ae := testkit.TinyAutoencoder()
	if err := c.ValidateWith(ae); err != nil {
		return err
	}
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(1)
	testkit.Perturb(m.Params, 2, .3)
	var wrong collected
	own, named := nn.NewParams(), 0
	s.kind.New(c.Options, hiddenSize, latentSize, .3, own)
	for _, p := range m.Params.All() {
		if strings.HasPrefix(p.Name, s.kind.Prefix) {
			named++
		}
	}
	if named != len(own.All()) {
		wrong.add("%d parameters of a language model begin with %s, the head has %d", named, s.kind.Prefix, len(own.All()))
	}
	const patches = 5
	ids := make([]int32, 2*patches*c.PatchSize)
	for i := range ids {
		ids[i] = int32(i * 37 % 200)
	}
	tr := m.Training(2, patches*c.PatchSize)
	p := s.engine.Compile(tr.Graph, cpu.Training)
	if err := errors.Join(tr.Fill(p, ids, nil), p.Step(false)); err != nil {
		return err
	}
	ev := m.Evaluation(2, patches*c.PatchSize, s.numSamples()+1)
	if (ev.Tokens != nil) != s.kind.ScoresSamples {
		wrong.add("a measurement has samples: %t, want %t", ev.Tokens != nil, s.kind.ScoresSamples)
	}
	if ev.Tokens != nil && ev.Tokens.Dim(0) != s.numSamples()+1 {
		wrong.add("a measurement has %v as tokens of %d samples", ev.Tokens, s.numSamples()+1)
	}
	p = s.engine.Compile(ev.Graph, cpu.Inference)
	return errors.Join(wrong.err(), ev.Fill(p, ids, nil), p.Forward())
}
