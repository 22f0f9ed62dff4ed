package interchange_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/interchange"
	"github.com/calm-go/calm/internal/interchange/torch"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// TestGoldenCheckpoints imports every directory that the reference wrote, compares the model's results with the reference's,
// exports the run and imports it again.
func TestGoldenCheckpoints(t *testing.T) {
	for _, c := range testkit.Golden(t, "hf_checkpoint") {
		dirs, err := filepath.Glob(filepath.Join(c.Dir, "*", checkpoint.ConfigFile))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("%s holds no directories with a config.json (%v)", c.Dir, err)
		}
		compared := 0
		for _, path := range dirs {
			dir := filepath.Dir(path)
			t.Run(filepath.Base(dir), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "run")
				r, err := interchange.Import(t.Context(), dir, out, interchange.Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range r.Lines() {
					t.Log(line)
				}
				testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { compared += compare(t, c, out, e) })
				roundTrip(t, out)
			})
		}
		if compared == 0 {
			t.Error("nothing was compared")
		}
	}
}

// compare runs an imported model on the case's inputs and returns the number of tensors compared.
func compare(t *testing.T, c testkit.Case, dir string, e *cpu.Engine) int {
	t.Helper()
	m, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	g := golden{t: t, c: c, m: m, e: e}
	g.prefix = "f32."
	if format := storedAs(t, dir); format != checkpoint.F32 {
		g.prefix = strings.ToLower(string(format)) + "."
	}
	switch {
	case m.Kind == run.AE:
		g.autoencoder()
	case m.Kind == run.AR:
		g.baseline()
	default:
		g.languageModel(m.Network.(*lm.Model).Config.ModelType)
	}
	if g.compared == 0 {
		t.Errorf("the case has nothing to compare this model with: %s", m.Dir)
	}
	return g.compared
}

// storedAs returns the number format of a run's weights, which must be the same for all.
func storedAs(t *testing.T, dir string) checkpoint.DType {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(dir, checkpoint.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, _ := f.Info(f.Names()[0])
	for _, name := range f.Names() {
		if info, _ := f.Info(name); info.DType != first.DType {
			t.Errorf("%s is %s, %s is %s", first.Name, first.DType, name, info.DType)
		}
	}
	return first.DType
}

type golden struct {
	t        *testing.T
	c        testkit.Case
	m        *run.Model
	e        *cpu.Engine
	prefix   string
	compared int
}

// loose has wider tolerances for results of the sinusoidal embedding, whose angles the reference computes in float32.
var loose = map[string]float64{
	"diffusion.net_output": 5e-5, "diffusion.loss": 5e-5, "flow.velocity": 3e-5, "flow.loss": 3e-5,
}

// check compares the results of a program with tensors of the case.
func (g *golden) check(model string, p *cpu.Program, tensors map[string]*nn.Tensor) {
	g.t.Helper()
	for name, tensor := range tensors {
		name = model + "." + name
		tolerance := testkit.ForwardTolerance
		if loosened, ok := loose[name]; ok {
			tolerance = loosened
		}
		testkit.Compare(g.t, g.prefix+name, p.Floats(tensor), g.c.Floats(g.t, g.prefix+name), tolerance)
		g.compared++
	}
	if n := len(g.c.Names(g.prefix + model + ".")); n != len(tensors) {
		g.t.Errorf("the case has %d tensors of %s%s, %d are compared", n, g.prefix, model, len(tensors))
	}
}

func (g *golden) step(p *cpu.Program, err error) {
	g.t.Helper()
	if err == nil {
		err = p.Forward()
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *golden) autoencoder() {
	m, ids := g.m.Network.(*autoencoder.Model), g.c.Ints(g.t, "in.input_ids")
	graph := nn.NewGraph()
	in := graph.Ints("ids", len(ids)/m.Config.PatchSize, m.Config.PatchSize)
	q := m.Encode(graph, in)
	logits := graph.Linear(m.Decode(graph, q.Mean), graph.Param(m.Table()), nil, nn.LinearOptions{})
	graph.Output(q.Mean, q.LogStd, logits)
	p := g.e.Compile(graph, cpu.Inference)
	copy(p.Ints(in), ids)
	g.step(p, nil)
	g.check("autoencoder", p, map[string]*nn.Tensor{"mean": q.Mean, "log_std": q.LogStd, "logits": logits})
}

func (g *golden) baseline() {
	shape, ids := g.c.Shape(g.t, "in.input_ids"), g.c.Ints(g.t, "in.input_ids")
	tr := g.m.Network.(*ar.Model).Training(shape[0], shape[1])
	logits := tr.Graph.Linear(tr.Hidden, tr.Graph.Param(g.m.Params.Get("lm_head.weight")), nil, nn.LinearOptions{})
	tr.Graph.Output(logits)
	p := g.e.Compile(tr.Graph, cpu.Inference)
	g.step(p, tr.Fill(p, ids))
	g.check("ar", p, map[string]*nn.Tensor{"logits": logits, "loss": tr.Tokens.Loss})
}

func (g *golden) languageModel(head string) {
	shape, ids := g.c.Shape(g.t, "in.input_ids"), g.c.Ints(g.t, "in.input_ids")
	tr := g.m.Network.(*lm.Model).Training(shape[0], shape[1])
	tr.Graph.Output(tr.Hidden, tr.Target.Mean, tr.Target.LogStd, tr.Head.Predictions)
	p := g.e.Compile(tr.Graph, cpu.Inference)
	err := tr.Fill(p, ids, ids)
	p.Feed(tr.Head.Noise, g.c.Floats(g.t, "in."+head+".noise"))
	p.Feed(tr.Head.TargetEps, g.c.Floats(g.t, "in."+head+".target_eps"))
	want := map[string]*nn.Tensor{"hidden": tr.Hidden, "loss": tr.Head.Loss}
	switch head {
	case "energy":
		want["mean"], want["log_std"], want["predictions"] = tr.Target.Mean, tr.Target.LogStd, tr.Head.Predictions
	case "diffusion":
		var steps []float32
		for _, step := range g.c.Ints(g.t, "in.diffusion.timesteps") {
			steps = append(steps, float32(step))
		}
		p.Feed(tr.Head.Times, steps)
		want["net_output"] = tr.Head.Predictions
	case "flow":
		p.Feed(tr.Head.Times, g.c.Floats(g.t, "in.flow.times"))
		want["velocity"] = tr.Head.Predictions
	}
	g.step(p, err)
	g.check(head, p, want)
}

// roundTrip exports a run in its own number format and imports it again. Weights and configuration must be the same.
func roundTrip(t *testing.T, dir string) {
	t.Helper()
	out, again := filepath.Join(t.TempDir(), "exported"), filepath.Join(t.TempDir(), "again")
	if _, err := interchange.Export(t.Context(), dir, out, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := interchange.Import(t.Context(), out, again, interchange.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", "autoencoder/model.safetensors", "tokenizer.json", "config.json", "autoencoder/config.json"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) && name != "model.safetensors" && name != "config.json" {
			continue
		}
		got, rerr := os.ReadFile(filepath.Join(again, name))
		if err != nil || rerr != nil {
			t.Errorf("%s: %v, %v", name, err, rerr)
		}
		if strings.HasSuffix(name, "config.json") {
			want, got = withoutOrigin(t, want), withoutOrigin(t, got)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%s is not what it was before export and import", name)
		}
	}
}

// withoutOrigin returns a configuration without the key that names the source of the import.
func withoutOrigin(t *testing.T, data []byte) []byte {
	t.Helper()
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	delete(keys, "imported")
	data, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGoldenTensors compares the names, types and shapes of all tensors in all files of weights with the reference's list.
func TestGoldenTensors(t *testing.T) {
	for _, c := range testkit.Golden(t, "hf_checkpoint") {
		data, err := os.ReadFile(filepath.Join(c.Dir, "tensors.json"))
		if err != nil {
			t.Fatal(err)
		}
		var files map[string]map[string][]any
		if err := json.Unmarshal(data, &files); err != nil {
			t.Fatal(err)
		}
		read := 0
		for name, want := range files {
			if _, err := os.Stat(filepath.Dir(filepath.Join(c.Dir, name))); errors.Is(err, os.ErrNotExist) {
				t.Logf("%s is not among the directories at hand", name) // testdata/golden has some of them
				continue
			}
			read++
			got := tensorsOf(t, filepath.Join(c.Dir, name))
			if len(got) != len(want) {
				t.Errorf("%s: %d tensors, want %d", name, len(got), len(want))
			}
			for tensor, w := range want {
				g, ok := got[tensor]
				if !ok {
					t.Errorf("%s: no tensor %s", name, tensor)
					continue
				}
				format := map[checkpoint.DType]string{checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16"}[g.DType]
				same := format == w[0] && len(g.Shape) == len(w)-1
				for i, n := range g.Shape {
					same = same && float64(n) == w[i+1]
				}
				if !same {
					t.Errorf("%s: %s is %s %v, want %v", name, tensor, g.DType, g.Shape, w)
				}
			}
		}
		if read == 0 {
			t.Error("no file of tensors.json was read")
		}
	}
}

func tensorsOf(t *testing.T, path string) map[string]checkpoint.Stream {
	t.Helper()
	out := map[string]checkpoint.Stream{}
	if filepath.Ext(path) == ".bin" {
		f, err := torch.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		for _, x := range f.Tensors() {
			out[x.Name] = x.Stream
		}
		return out
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for _, name := range f.Names() {
		s, err := f.Stream(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = s
	}
	return out
}
